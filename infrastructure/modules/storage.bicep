// A storage account for blobs that are read and written with Entra tokens. Nothing in it is public.

@description('Required. Name of the account: 3 to 24 lower-case letters and digits, unique in the world.')
@minLength(3)
@maxLength(24)
param name string

@description('Required. Azure region.')
param location string

@description('Optional. Names of the containers to make.')
param containers array = []

@description('Optional. Redundancy.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param skuName string = 'Standard_LRS'

@description('Optional. Whether account keys work; tokens always do.')
param allowSharedKeyAccess bool = false

@description('Optional. Days that deleted blobs and containers can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Optional. Pages that may show and upload blobs in a browser: the studio of Azure ML, under its names.')
param studioOrigins array = [
  'https://ml.azure.com'
  'https://*.ml.azure.com'
  'https://mlworkspace.azure.ai'
  'https://ai.azure.com'
]

@description('Optional. Tags of the account.')
param tags object = {}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_35:Build agents, cluster nodes and devices have no fixed address; every call needs a token
  // checkov:skip=CKV_AZURE_206:The redundancy is a parameter: one zone in dev, three in prod
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: skuName
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: allowSharedKeyAccess
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

module blobs 'blob-service.bicep' = {
  name: '${name}-blobs'
  params: {
    storageAccountName: account.name
    containers: containers
    softDeleteDays: softDeleteDays
    studioOrigins: studioOrigins
  }
}

@description('Resource id of the account.')
output resourceId string = account.id

@description('Name of the account, once its containers are there.')
output name string = blobs.outputs.storageAccountName

@description('Address of its blobs, with a slash at its end.')
output blobEndpoint string = account.properties.primaryEndpoints.blob
