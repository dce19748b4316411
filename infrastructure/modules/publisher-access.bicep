// What aml-workspace-connection may do: publish, submit and register in the workspace, read captures, write releases.
// It makes no resources (clusters, workspaces) and gives no rights.

@description('Required. Object id of the principal of the connection.')
param principalId string

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Storage account of the workspace.')
param storageAccountName string

@description('Required. Storage account of the edge.')
param edgeStorageAccountName string

@description('Required. Container of the captures.')
param captureContainer string

@description('Required. Container of the released models.')
param releaseContainer string

var azureMlDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

module onWorkspace 'workspace-access.bicep' = {
  name: 'publisher-workspace'
  params: {
    principalId: principalId
    workspaceName: workspaceName
    storageAccountName: storageAccountName
    workspaceRoles: [azureMlDataScientist]
    storageRoles: [storageBlobDataContributor]
  }
}

module onCaptures 'container-access.bicep' = {
  name: 'publisher-captures'
  params: {
    principalId: principalId
    storageAccountName: edgeStorageAccountName
    containerName: captureContainer
    roleId: storageBlobDataReader
  }
}

module onReleases 'container-access.bicep' = {
  name: 'publisher-releases'
  params: {
    principalId: principalId
    storageAccountName: edgeStorageAccountName
    containerName: releaseContainer
    roleId: storageBlobDataContributor
  }
}
