// A blob container as a datastore of the workspace. It holds no credential: whoever opens it does so as themselves.

@description('Required. Name of the datastore: letters, digits and underscores.')
@minLength(1)
@maxLength(255)
param name string

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Storage account of this resource group.')
param storageAccountName string

@description('Required. Container of that account.')
param containerName string

@description('Required. What the datastore is for.')
param purpose string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2026-05-01' existing = {
  name: workspaceName
}

resource datastore 'Microsoft.MachineLearningServices/workspaces/datastores@2026-05-01' = {
  parent: workspace
  name: name
  properties: {
    datastoreType: 'AzureBlob'
    description: purpose
    subscriptionId: subscription().subscriptionId
    resourceGroup: resourceGroup().name
    accountName: storageAccountName
    containerName: containerName
    endpoint: environment().suffixes.storage
    protocol: 'https'
    credentials: {
      credentialsType: 'None'
    }
    // The studio shows pictures (labelling, previews) as the workspace.
    serviceDataAccessAuthIdentity: 'WorkspaceUserAssignedIdentity'
  }
}

@description('Resource id of the datastore.')
output resourceId string = datastore.id

@description('Name of the datastore.')
output name string = datastore.name
