// What a cluster may do: pull its image, read and write the data of the workspace, submit the AutoML run and register
// its best model, read captures. It makes no resources and gives no rights.

@description('Required. Object id of the identity of the cluster.')
param principalId string

@description('Required. What the names of the deployments here begin with; one for each cluster.')
@maxLength(40)
param label string

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Storage account of the workspace.')
param storageAccountName string

@description('Required. Container registry of the workspace.')
param registryName string

@description('Required. Storage account of the edge.')
param edgeStorageAccountName string

@description('Required. Container of the captures.')
param captureContainer string

var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var azureMlDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

module onWorkspace 'workspace-access.bicep' = {
  name: '${label}-workspace'
  params: {
    principalId: principalId
    workspaceName: workspaceName
    storageAccountName: storageAccountName
    workspaceRoles: [azureMlDataScientist]
    storageRoles: [storageBlobDataContributor]
  }
}

module onRegistry 'registry-access.bicep' = {
  name: '${label}-registry'
  params: {
    principalId: principalId
    registryName: registryName
    roleId: acrPull
  }
}

module onCaptures 'container-access.bicep' = {
  name: '${label}-captures'
  params: {
    principalId: principalId
    storageAccountName: edgeStorageAccountName
    containerName: captureContainer
    roleId: storageBlobDataReader
  }
}
