// The identity that the scoring app acts as: it pulls the image and reads the callers' key, no more.

@description('Required. Name of the identity.')
param name string

@description('Required. Azure region.')
param location string

@description('Required. Container registry that the image is pulled from.')
param registryName string

@description('Required. Vault that holds the callers\' key.')
param keyVaultName string

@description('Optional. Tags of the identity.')
param tags object = {}

var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

module identity 'identity.bicep' = {
  name: 'scoring-identity'
  params: {
    name: name
    location: location
    tags: tags
  }
}

module readKey 'vault-access.bicep' = {
  name: 'scoring-reads-key'
  params: {
    principalId: identity.outputs.principalId
    keyVaultName: keyVaultName
    roles: [keyVaultSecretsUser]
  }
}

module pull 'registry-access.bicep' = {
  name: 'scoring-pulls-image'
  params: {
    principalId: identity.outputs.principalId
    registryName: registryName
    roleId: acrPull
  }
}

@description('Resource id of the identity.')
output resourceId string = identity.outputs.resourceId

@description('Name of the identity.')
output name string = identity.outputs.name

@description('Client id, which programs name it by.')
output clientId string = identity.outputs.clientId
