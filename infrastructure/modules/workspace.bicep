// The Azure ML workspace over its storage, vault, registry and logs. It reads storage as itself: no account key is kept.

@description('Required. Name of the workspace.')
@minLength(3)
@maxLength(33)
param name string

@description('Required. Azure region.')
param location string

@description('Required. Resource id of the identity that the workspace acts as; its roles must exist already.')
param identityResourceId string

@description('Required. Resource id of the storage account of the workspace.')
param storageAccountResourceId string

@description('Required. Resource id of the key vault of the workspace.')
param keyVaultResourceId string

@description('Required. Resource id of the Application Insights resource.')
param applicationInsightsResourceId string

@description('Required. Resource id of the container registry.')
param registryResourceId string

@description('Optional. How the service opens the workspace\'s own datastores.')
@allowed(['Identity', 'UserDelegationSAS', 'AccessKey'])
param storageAuthMode string = 'Identity'

@description('Optional. Tags of the workspace.')
param tags object = {}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2026-05-01' = {
  // checkov:skip=CKV_AZURE_243:A private endpoint needs a network and build agents in it, which are not made here
  name: name
  location: location
  tags: tags
  kind: 'Default'
  sku: {
    name: 'Basic'
    tier: 'Basic'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityResourceId}': {}
    }
  }
  properties: {
    friendlyName: name
    description: 'Trains detectors on labelled images and registers the best model'
    primaryUserAssignedIdentity: identityResourceId
    storageAccount: storageAccountResourceId
    keyVault: keyVaultResourceId
    applicationInsights: applicationInsightsResourceId
    containerRegistry: registryResourceId
    systemDatastoresAuthMode: storageAuthMode
    // Hosted build agents and cluster nodes have no fixed address; every call needs an Entra token.
    publicNetworkAccess: 'Enabled'
    // True would shut out SDK v2.
    v1LegacyMode: false
  }
}

@description('Resource id of the workspace.')
output resourceId string = workspace.id

@description('Name of the workspace.')
output name string = workspace.name
