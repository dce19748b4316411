// Roles of one principal on the workspace and on its storage.

@description('Required. Object id of the principal.')
param principalId string

@description('Optional. What the principal is; a managed identity is a ServicePrincipal.')
@allowed(['ServicePrincipal', 'Group', 'User'])
param principalType string = 'ServicePrincipal'

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Storage account of the workspace.')
param storageAccountName string

@description('Optional. Ids of the roles on the workspace.')
param workspaceRoles array = []

@description('Optional. Ids of the roles on the storage account.')
param storageRoles array = []

resource workspace 'Microsoft.MachineLearningServices/workspaces@2026-05-01' existing = {
  name: workspaceName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource onWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in workspaceRoles: {
    name: guid(workspace.id, principalId, role)
    scope: workspace
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource onStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in storageRoles: {
    name: guid(storage.id, principalId, role)
    scope: storage
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]
