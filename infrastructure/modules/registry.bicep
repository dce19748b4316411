// The container registry: the step's environment is built into it by Azure ML, the scoring image is pushed to it.

@description('Required. Name of the registry: 5 to 50 letters and digits, unique in the world.')
@minLength(5)
@maxLength(50)
param name string

@description('Required. Azure region.')
param location string

@description('Optional. Tier.')
@allowed(['Basic', 'Standard', 'Premium'])
param skuName string = 'Basic'

@description('Optional. Tags of the registry.')
param tags object = {}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  // checkov:skip=CKV_AZURE_139:Azure ML builds images here and its nodes pull them, from no fixed address; with a token each
  // checkov:skip=CKV_AZURE_163:Scanning is Defender's, which is switched on for the subscription
  // checkov:skip=CKV_AZURE_166:Quarantine needs the Premium tier and a scanner that releases images
  name: name
  location: location
  tags: tags
  sku: {
    name: skuName
  }
  properties: {
    adminUserEnabled: false
    // AcrPull and AcrPush are roles of this mode; the other one has roles of its own.
    roleAssignmentMode: 'LegacyRegistryPermissions'
    policies: {
      azureADAuthenticationAsArmPolicy: {
        status: 'enabled'
      }
    }
  }
}

@description('Resource id of the registry.')
output resourceId string = registry.id

@description('Name of the registry.')
output name string = registry.name

@description('Host that images are pushed to and pulled from.')
output loginServer string = registry.properties.loginServer
