// The workspace with what it stands on: logs, storage, vault, registry, and an identity whose rights come first.

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. What the names of the logs begin with.')
param baseName string

@description('Required. Name of the storage account, unique in the world.')
param storageAccountName string

@description('Required. Name of the key vault, unique in the world.')
param keyVaultName string

@description('Required. Name of the container registry, unique in the world.')
param registryName string

@description('Required. Azure region.')
param location string

@description('Optional. How the service opens the datastores of the workspace itself. AccessKey alone allows account keys.')
param storageAuthMode string = 'Identity'

@description('Optional. Redundancy of the storage account.')
param storageSkuName string = 'Standard_LRS'

@description('Optional. Tier of the container registry.')
param registrySkuName string = 'Basic'

@description('Optional. Days that logs are kept.')
param logRetentionDays int = 30

@description('Optional. Tags of every resource here.')
param tags object = {}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  params: {
    logAnalyticsName: '${baseName}-logs'
    applicationInsightsName: '${baseName}-insights'
    location: location
    retentionDays: logRetentionDays
    tags: tags
  }
}

module storage 'storage.bicep' = {
  name: 'workspace-storage'
  params: {
    name: storageAccountName
    location: location
    skuName: storageSkuName
    allowSharedKeyAccess: storageAuthMode == 'AccessKey'
    tags: tags
  }
}

module keyVault 'key-vault.bicep' = {
  name: 'workspace-vault'
  params: {
    name: keyVaultName
    location: location
    tags: tags
  }
}

module registry 'registry.bicep' = {
  name: 'registry'
  params: {
    name: registryName
    location: location
    skuName: registrySkuName
    tags: tags
  }
}

module identity 'identity.bicep' = {
  name: 'workspace-identity'
  params: {
    name: '${workspaceName}-id'
    location: location
    tags: tags
  }
}

module identityAccess 'workspace-identity-access.bicep' = {
  name: 'workspace-identity-access'
  params: {
    principalId: identity.outputs.principalId
    storageAccountName: storage.outputs.name
    keyVaultName: keyVault.outputs.name
    registryName: registry.outputs.name
    applicationInsightsName: monitoring.outputs.name
  }
}

module workspace 'workspace.bicep' = {
  name: 'workspace'
  dependsOn: [identityAccess]
  params: {
    name: workspaceName
    location: location
    identityResourceId: identity.outputs.resourceId
    storageAccountResourceId: storage.outputs.resourceId
    keyVaultResourceId: keyVault.outputs.resourceId
    applicationInsightsResourceId: monitoring.outputs.resourceId
    registryResourceId: registry.outputs.resourceId
    storageAuthMode: storageAuthMode
    tags: tags
  }
}

@description('Resource id of the workspace.')
output resourceId string = workspace.outputs.resourceId

@description('Name of the workspace.')
output name string = workspace.outputs.name

@description('Object id of the identity that the workspace acts as.')
output principalId string = identity.outputs.principalId

@description('Name of the storage account.')
output storageAccountName string = storage.outputs.name

@description('Name of the container registry.')
output registryName string = registry.outputs.name

@description('Host that images are pushed to and pulled from.')
output registryLoginServer string = registry.outputs.loginServer
