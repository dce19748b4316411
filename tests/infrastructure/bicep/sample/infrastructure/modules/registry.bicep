// A container registry that acts as an identity.

@description('Required. Name of the registry.')
@minLength(5)
@maxLength(50)
param name string

@description('Required. Azure region.')
param location string

@description('Required. Resource id of the identity.')
param identityResourceId string

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: name
  location: location
  sku: { name: 'Basic' }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityResourceId}': {}
    }
  }
  properties: {
    adminUserEnabled: false
  }
}

@description('Host that images are pushed to.')
output host string = registry.properties.loginServer
