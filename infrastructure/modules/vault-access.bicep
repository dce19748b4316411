// Roles of one principal on one key vault.

@description('Required. Object id of the principal.')
param principalId string

@description('Optional. What the principal is; a managed identity is a ServicePrincipal.')
@allowed(['ServicePrincipal', 'Group', 'User'])
param principalType string = 'ServicePrincipal'

@description('Required. Key vault of this resource group.')
param keyVaultName string

@description('Required. Ids of the roles.')
param roles array

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: keyVaultName
}

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in roles: {
    name: guid(vault.id, principalId, role)
    scope: vault
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]
