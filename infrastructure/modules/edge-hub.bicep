// The IoT Hub with the identity that it writes as, which may write to the capture container and to nothing else.

@description('Required. Name of the hub, unique in the world.')
param name string

@description('Required. Azure region.')
param location string

@description('Required. Storage account of the captures.')
param storageAccountName string

@description('Required. Container of the captures.')
param containerName string

@description('Optional. Tier; a subscription may have one F1, which is free.')
@allowed(['F1', 'S1', 'S2', 'S3'])
param skuName string = 'S1'

@description('Optional. Tags of every resource here.')
param tags object = {}

var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

module identity 'identity.bicep' = {
  name: 'iot-identity'
  params: {
    name: '${name}-id'
    location: location
    tags: tags
  }
}

module writes 'container-access.bicep' = {
  name: 'iot-writes-captures'
  params: {
    principalId: identity.outputs.principalId
    storageAccountName: storageAccountName
    containerName: containerName
    roleId: storageBlobDataContributor
  }
}

module hub 'iot-hub.bicep' = {
  name: 'iot-hub'
  dependsOn: [writes]
  params: {
    name: name
    location: location
    identityResourceId: identity.outputs.resourceId
    storageAccountName: storageAccountName
    containerName: containerName
    skuName: skuName
    tags: tags
  }
}

@description('Resource id of the hub.')
output resourceId string = hub.outputs.resourceId

@description('Name of the hub.')
output name string = hub.outputs.name
