// The IoT Hub that devices report to: certificates and Entra tokens, no shared keys. Their messages lie beside the captures.

@description('Required. Name of the hub: 3 to 50 letters, digits and hyphens, unique in the world.')
@minLength(3)
@maxLength(50)
param name string

@description('Required. Azure region.')
param location string

@description('Required. Resource id of the identity that writes to the container; its role must exist already.')
param identityResourceId string

@description('Required. Storage account that messages are written to.')
param storageAccountName string

@description('Required. Container of that account.')
param containerName string

@description('Optional. Tier; a subscription may have one F1, which is free.')
@allowed(['F1', 'S1', 'S2', 'S3'])
param skuName string = 'S1'

@description('Optional. Tags of the hub.')
param tags object = {}

resource hub 'Microsoft.Devices/IotHubs@2023-06-30' = {
  name: name
  location: location
  tags: tags
  sku: { name: skuName, capacity: 1 }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityResourceId}': {}
    }
  }
  properties: {
    disableLocalAuth: true
    disableDeviceSAS: true
    disableModuleSAS: true
    routing: {
      endpoints: {
        storageContainers: [
          {
            name: 'captures'
            endpointUri: 'https://${storageAccountName}.blob.${environment().suffixes.storage}/'
            containerName: containerName
            authenticationType: 'identityBased'
            identity: { userAssignedIdentity: identityResourceId }
            encoding: 'JSON'
            fileNameFormat: '{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}/{mm}.json'
          }
        ]
      }
      routes: [
        {
          name: 'messages-to-captures'
          source: 'DeviceMessages'
          condition: 'true'
          endpointNames: ['captures']
          isEnabled: true
        }
        {
          name: 'messages-to-listeners'
          source: 'DeviceMessages'
          condition: 'true'
          endpointNames: ['events']
          isEnabled: true
        }
      ]
    }
  }
}

@description('Resource id of the hub.')
output resourceId string = hub.id

@description('Name of the hub.')
output name string = hub.name
