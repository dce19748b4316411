// The blobs of a storage account: its containers, none of them public, and how long what was deleted can be brought back.

@description('Required. Storage account of this resource group.')
param storageAccountName string

@description('Optional. Names of the containers to make.')
param containers array = []

@description('Optional. Days that deleted blobs and containers can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Optional. Pages that may show and upload blobs in a browser.')
param studioOrigins array = []

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    // What Azure ML sets on an account of its own. A browser lets no other page in, and every call still needs a token.
    cors: {
      corsRules: [
        {
          allowedOrigins: studioOrigins
          allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']
          allowedHeaders: ['*']
          exposedHeaders: ['*']
          maxAgeInSeconds: 1800
        }
      ]
    }
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for container in containers: {
    parent: blobs
    name: container
    properties: {
      publicAccess: 'None'
    }
  }
]

@description('Resource id of the blob service.')
output resourceId string = blobs.id

@description('Name of the account.')
output storageAccountName string = account.name
