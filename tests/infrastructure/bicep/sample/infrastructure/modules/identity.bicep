// An identity.

@description('Required. Name of the identity.')
@minLength(3)
@maxLength(128)
param name string

@description('Required. Azure region.')
param location string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
}

@description('Resource id of the identity.')
output resourceId string = identity.id

@description('Object id, which roles are assigned to.')
output principalId string = identity.properties.principalId
