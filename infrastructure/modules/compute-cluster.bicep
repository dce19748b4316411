// A compute cluster of the workspace: its own identity, no nodes while idle, no SSH, no local accounts.

@description('Required. Name of the cluster.')
@minLength(3)
@maxLength(24)
param name string

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Azure region.')
param location string

@description('Required. What the cluster is for.')
param purpose string

@description('Required. Size of a node. It can\'t be changed: delete the cluster and deploy again.')
param vmSize string

@description('Optional. Nodes that are kept while idle; each is paid for.')
@minValue(0)
param minNodes int = 0

@description('Optional. Most nodes at a time.')
@minValue(1)
param maxNodes int = 1

@description('Optional. Seconds that a node waits for work before it is given back.')
@minValue(60)
@maxValue(86400)
param idleSecondsBeforeScaledown int = 600

@description('Optional. LowPriority is cheaper, and its nodes can be taken away at any time.')
@allowed(['Dedicated', 'LowPriority'])
param priority string = 'Dedicated'

@description('Optional. Tags of the cluster.')
param tags object = {}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2026-05-01' existing = {
  name: workspaceName
}

resource cluster 'Microsoft.MachineLearningServices/workspaces/computes@2026-05-01' = {
  parent: workspace
  name: name
  location: location
  tags: tags
  // Azure ML puts this identity's client id into DEFAULT_IDENTITY_CLIENT_ID on every node; the step passes it on.
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    computeType: 'AmlCompute'
    computeLocation: location
    description: purpose
    disableLocalAuth: true
    properties: {
      osType: 'Linux'
      vmSize: vmSize
      vmPriority: priority
      remoteLoginPortPublicAccess: 'Disabled'
      scaleSettings: {
        minNodeCount: minNodes
        maxNodeCount: maxNodes
        nodeIdleTimeBeforeScaleDown: 'PT${idleSecondsBeforeScaledown}S'
      }
    }
  }
}

@description('Resource id of the cluster.')
output resourceId string = cluster.id

@description('Name of the cluster.')
output name string = cluster.name

@description('Object id of the identity of the cluster.')
output principalId string = cluster.identity.principalId
