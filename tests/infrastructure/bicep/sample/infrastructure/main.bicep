// Something small and right, which test_bicep.py breaks in one place at a time.

targetScope = 'resourceGroup'

@description('Optional. First part of every name.')
@minLength(2)
@maxLength(8)
param baseName string = 'ship'

@description('Optional. Region.')
param location string = resourceGroup().location

@description('Optional. Redundancy.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param skuName string = 'Standard_LRS'

@description('Optional. Days that deleted blobs are kept.')
@minValue(1)
@maxValue(365)
param keepDays int = 7

@description('Conditional. Object ids of people; needed when they are to read.')
param readers array = []

@description('Optional. Whether there is a registry.')
param withRegistry bool = false

@description('Conditional. Password of the archive; needed where there is one.')
@secure()
param archivePassword string = ''

var suffix = uniqueString(resourceGroup().id, baseName)
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var wanted = skuName == 'Standard_ZRS' || !empty(archivePassword)

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: {
    name: '${baseName}-id'
    location: location
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: 'st${baseName}${suffix}'
    location: location
    skuName: skuName
    keepDays: keepDays
    containers: ['incoming', 'outgoing']
  }
}

module identityReads 'modules/access.bicep' = {
  name: 'identity-reads'
  params: {
    principalId: identity.outputs.principalId
    storageAccountName: storage.outputs.name
    roleId: storageBlobDataReader
  }
}

module peopleRead 'modules/access.bicep' = [
  for (person, index) in readers: {
    name: 'person-${index}-reads'
    params: {
      principalId: person
      principalType: 'User'
      storageAccountName: storage.outputs.name
      roleId: storageBlobDataReader
    }
  }
]

module registry 'modules/registry.bicep' = if (withRegistry && wanted) {
  name: 'registry'
  dependsOn: [identityReads]
  params: {
    name: 'cr${baseName}${suffix}'
    location: location
    identityResourceId: identity.outputs.resourceId
  }
}

@description('Name of the storage account.')
output storageName string = storage.outputs.name

@description('Address of its blobs.')
output blobEndpoint string = storage.outputs.blobEndpoint

@description('Host of the registry; empty when there is none.')
output registryHost string = withRegistry ? registry.outputs.host : ''
