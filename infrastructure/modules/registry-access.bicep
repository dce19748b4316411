// One role of one principal on the container registry.

@description('Required. Object id of the principal.')
param principalId string

@description('Optional. What the principal is; a managed identity is a ServicePrincipal.')
@allowed(['ServicePrincipal', 'Group', 'User'])
param principalType string = 'ServicePrincipal'

@description('Required. Container registry of this resource group.')
param registryName string

@description('Required. Id of the role.')
param roleId string

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, roleId)
  scope: registry
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
