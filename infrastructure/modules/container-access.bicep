// One role of one principal on one blob container, and on nothing else of the account.

@description('Required. Object id of the principal.')
param principalId string

@description('Optional. What the principal is; a managed identity is a ServicePrincipal.')
@allowed(['ServicePrincipal', 'Group', 'User'])
param principalType string = 'ServicePrincipal'

@description('Required. Storage account of this resource group.')
param storageAccountName string

@description('Required. Container of that account.')
param containerName string

@description('Required. Id of the role.')
param roleId string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: blobs
  name: containerName
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, principalId, roleId)
  scope: container
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
  }
}

@description('Resource id of the role assignment.')
output resourceId string = assignment.id

@description('Name of the role assignment.')
output name string = assignment.name
