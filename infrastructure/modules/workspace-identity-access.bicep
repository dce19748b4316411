// What the identity of the workspace needs before there is a workspace, as Azure ML documents it for a user-assigned one:
// Contributor on the four it works with, and the data of storage and vault. Nothing on the resource group.

@description('Required. Object id of the identity.')
param principalId string

@description('Required. Storage account of the workspace.')
param storageAccountName string

@description('Required. Key vault of the workspace.')
param keyVaultName string

@description('Required. Container registry of the workspace.')
param registryName string

@description('Required. Application Insights resource of the workspace.')
param applicationInsightsName string

var contributor = 'b24988ac-6180-42a0-ab88-20f7382dd24c'
var keyVaultAdministrator = '00482a5a-887f-4fb3-b363-3b7fe8e74483'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageFileDataPrivilegedContributor = '69566ab7-960f-475b-8e7c-b3118f30c6bd'
var storageRoles = [contributor, storageBlobDataContributor, storageFileDataPrivilegedContributor]

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource onStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in storageRoles: {
    name: guid(storage.id, principalId, role)
    scope: storage
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource onRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, contributor)
  scope: registry
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributor)
  }
}

resource onApplicationInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(applicationInsights.id, principalId, contributor)
  scope: applicationInsights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributor)
  }
}

module onVault 'vault-access.bicep' = {
  name: 'workspace-identity-vault'
  params: {
    principalId: principalId
    keyVaultName: keyVaultName
    roles: [contributor, keyVaultAdministrator]
  }
}
