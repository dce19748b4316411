// What a person (or a group) who labels, submits and looks at runs may do. They make no resources and give no rights.

@description('Required. Object id of the person or group.')
param principalId string

@description('Required. Whether it is a person or a group of them.')
@allowed(['User', 'Group'])
param principalType string

@description('Required. What the names of the deployments here begin with; one for each person.')
@maxLength(40)
param label string

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Storage account of the workspace.')
param storageAccountName string

@description('Required. Storage account of the edge.')
param edgeStorageAccountName string

@description('Required. Container of the captures.')
param captureContainer string

var azureMlDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
// The file share where the studio keeps notebooks.
var storageFileDataPrivilegedContributor = '69566ab7-960f-475b-8e7c-b3118f30c6bd'

module onWorkspace 'workspace-access.bicep' = {
  name: '${label}-workspace'
  params: {
    principalId: principalId
    principalType: principalType
    workspaceName: workspaceName
    storageAccountName: storageAccountName
    workspaceRoles: [azureMlDataScientist]
    storageRoles: [storageBlobDataContributor, storageFileDataPrivilegedContributor]
  }
}

module onCaptures 'container-access.bicep' = {
  name: '${label}-captures'
  params: {
    principalId: principalId
    principalType: principalType
    storageAccountName: edgeStorageAccountName
    containerName: captureContainer
    roleId: storageBlobDataContributor
  }
}
