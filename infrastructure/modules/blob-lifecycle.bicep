// Blobs of one container are deleted some days after their last change. An account has one such policy: this is it.

@description('Required. Storage account of this resource group.')
param storageAccountName string

@description('Required. Container of that account whose blobs expire.')
param containerName string

@description('Optional. Days after its last change that a blob is deleted.')
@minValue(1)
param expireAfterDays int = 365

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource policy 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'expire-${containerName}'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${containerName}/']
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: expireAfterDays
                }
              }
            }
          }
        }
      ]
    }
  }
}

@description('Resource id of the policy.')
output resourceId string = policy.id

@description('Name of the policy.')
output name string = policy.name
