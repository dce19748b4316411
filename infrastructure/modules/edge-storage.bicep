// The storage account of the edge: captures come in and expire, released models go out and stay.

@description('Required. Name of the account, unique in the world.')
param name string

@description('Required. Azure region.')
param location string

@description('Required. Container that devices send captures to.')
param captureContainer string

@description('Required. Container that devices pull models from.')
param releaseContainer string

@description('Optional. Days after which a capture is deleted. A data set has its own copy once its split is drawn.')
param captureExpireDays int = 365

@description('Optional. Redundancy.')
param skuName string = 'Standard_LRS'

@description('Optional. Tags of the account.')
param tags object = {}

module account 'storage.bicep' = {
  name: 'edge-storage-account'
  params: {
    name: name
    location: location
    containers: [captureContainer, releaseContainer]
    skuName: skuName
    tags: tags
  }
}

module lifecycle 'blob-lifecycle.bicep' = {
  name: 'capture-lifecycle'
  params: {
    storageAccountName: account.outputs.name
    containerName: captureContainer
    expireAfterDays: captureExpireDays
  }
}

@description('Resource id of the account.')
output resourceId string = account.outputs.resourceId

@description('Name of the account.')
output name string = account.outputs.name

@description('Address of its blobs, with a slash at its end.')
output blobEndpoint string = account.outputs.blobEndpoint
