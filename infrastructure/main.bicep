// Everything that training, registering, pulling and serving need in one resource group. Deployed again, nothing changes.
// Parameters that are settings of variable_template.yml: `cva settings show --for bicep`. The rest: main.parameters.*.json.

targetScope = 'resourceGroup'

@description('Optional. Setting BASE_NAME: derived names begin with it. Letters, digits and hyphens.')
@minLength(2)
@maxLength(20)
param baseName string = 'cva'

@description('Optional. Setting LOCATION: Azure region of every resource; the resource group\'s own by default.')
param location string = resourceGroup().location

@description('Optional. Setting WORKSPACE_NAME: name of the Azure ML workspace.')
@minLength(3)
@maxLength(33)
param workspaceName string = '${baseName}-aml'

@description('Optional. Setting VM_SIZE: size of a node of the GPU cluster; AutoML for images takes NC and ND sizes.')
param vmSize string = 'Standard_NC4as_T4_v3'

@description('Optional. Setting CPU_VM_SIZE: size of a node of the CPU cluster, which runs the waiting step.')
param cpuVmSize string = 'Standard_D4ds_v4'

@description('Optional. Setting AML_COMPUTE_CLUSTER_NAME: name of the GPU cluster.')
@minLength(3)
@maxLength(24)
param amlComputeClusterName string = 'gpu-cluster'

@description('Optional. Setting AML_CPU_CLUSTER_NAME: name of the CPU cluster.')
@minLength(3)
@maxLength(24)
param amlCpuClusterName string = 'cpu-cluster'

@description('Optional. Setting AML_CLUSTER_MIN_NODES: nodes that the GPU cluster keeps while idle; each is paid for.')
@minValue(0)
@maxValue(100)
param amlClusterMinNodes int = 0

@description('Optional. Setting AML_CLUSTER_MAX_NODES: most nodes of the GPU cluster.')
@minValue(1)
@maxValue(100)
param amlClusterMaxNodes int = 1

@description('Optional. Setting IDLE_SECONDS_BEFORE_SCALEDOWN: seconds that a node waits for work before it is given back.')
@minValue(60)
@maxValue(86400)
param idleSecondsBeforeScaledown int = 600

@description('Optional. Setting EDGE_DATASTORE_NAME: datastore of the pictures that edge devices capture.')
@minLength(1)
@maxLength(100)
param edgeDatastoreName string = 'edgevisionstorage'

@description('Optional. Setting EDGE_STORAGE_ACCOUNT: storage account of captures and releases; empty: a name is derived.')
@maxLength(24)
param edgeStorageAccount string = ''

@description('Optional. Setting EDGE_CAPTURE_CONTAINER: container of the captures.')
@minLength(3)
@maxLength(63)
param edgeCaptureContainer string = 'captures'

@description('Optional. Setting MODEL_RELEASE_CONTAINER: container that devices pull models from.')
@minLength(3)
@maxLength(63)
param modelReleaseContainer string = 'releases'

@description('Conditional. Setting WORKSPACE_SVC_PRINCIPAL_ID: object id behind aml-workspace-connection; needed for CI to publish.')
param workspaceSvcPrincipalId string = ''

@description('Conditional. Setting AZURE_RM_SVC_PRINCIPAL_ID: object id behind azure-resource-connection; needed for CI to push images.')
param azureRmSvcPrincipalId string = ''

@description('Optional. Which environment this is; it stands in a tag and nowhere else.')
@allowed(['dev', 'prod'])
param environmentName string = 'dev'

@description('Optional. More tags of every resource.')
param tags object = {}

@description('Optional. Most nodes of the CPU cluster: as many training runs can wait at a time.')
@minValue(1)
param cpuClusterMaxNodes int = 2

@description('Optional. LowPriority nodes are cheaper and can be taken away at any time.')
@allowed(['Dedicated', 'LowPriority'])
param gpuClusterPriority string = 'Dedicated'

@description('Optional. How the service opens the workspace\'s own datastores. AccessKey alone allows account keys.')
@allowed(['Identity', 'UserDelegationSAS', 'AccessKey'])
param workspaceStorageAuthMode string = 'Identity'

@description('Optional. Redundancy of both storage accounts.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSkuName string = 'Standard_LRS'

@description('Optional. Days after which a capture is deleted. A data set has its own copy once its split is drawn.')
@minValue(1)
param captureExpireDays int = 365

@description('Optional. Tier of the container registry.')
@allowed(['Basic', 'Standard', 'Premium'])
param registrySkuName string = 'Basic'

@description('Optional. Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Optional. Object ids of people, or of groups of them, who label, submit and look at runs.')
param dataScientistPrincipalIds array = []

@description('Conditional. What dataScientistPrincipalIds are; needed when they are groups.')
@allowed(['User', 'Group'])
param dataScientistPrincipalType string = 'User'

@description('Optional. Object ids of what may read released models: devices\' identities, or a group of them.')
param edgeReaderPrincipalIds array = []

@description('Conditional. What edgeReaderPrincipalIds are; needed when they are not service principals.')
@allowed(['ServicePrincipal', 'Group', 'User'])
param edgeReaderPrincipalType string = 'ServicePrincipal'

@description('Optional. Object ids of what sends captures: devices\' identities, or a group. They see all captures, and no model.')
param edgeWriterPrincipalIds array = []

@description('Conditional. What edgeWriterPrincipalIds are; needed when they are not service principals.')
@allowed(['ServicePrincipal', 'Group', 'User'])
param edgeWriterPrincipalType string = 'ServicePrincipal'

@description('Optional. Whether the scoring container runs as a web app. Build its image first: release_model.yml.')
param deployWebApp bool = false

@description('Conditional. Image within the registry, a model in it; read when deployWebApp is true. A release moves latest.')
param scoringImage string = 'cva-scoring:latest'

@description('Conditional. Arguments of `cva serve` in the web app; read when deployWebApp is true.')
param scoringArguments string = '--host 0.0.0.0'

@description('Conditional. Origins whose pages may call the web app, each exact (https://example.org); read when deployWebApp is true.')
param scoringCorsOrigins array = []

@description('Conditional. Size of the web app\'s plan; read when deployWebApp is true.')
param webAppSkuName string = 'P0v3'

@description('Conditional. Machines of that plan; read when deployWebApp is true.')
@minValue(1)
param webAppInstances int = 1

@description('Optional. Whether there is an IoT Hub for the devices.')
param deployIotHub bool = false

@description('Conditional. Tier of the IoT Hub; read when deployIotHub is true.')
@allowed(['F1', 'S1', 'S2', 'S3'])
param iotHubSkuName string = 'S1'

// Names. uniqueString gives 13 letters and digits, the same ones each time for the same group and base name.
var suffix = uniqueString(resourceGroup().id, baseName)
var plainName = toLower(replace(replace(baseName, '-', ''), '_', ''))
var shortName = take(plainName, 7)
var scoringApp = 'app-${plainName}-${suffix}'
var scoringVault = 'ks-${shortName}-${suffix}'
var hubName = 'iot-${plainName}-${suffix}'
var allTags = union({ application: 'cv-accelerator', environment: environmentName }, tags)

// Built-in roles by their ids, which are the same everywhere.
var acrPush = '8311e382-0749-4cb8-b61a-304f252e45ec'
var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

// The server answers preflights itself; the platform's own CORS stays empty, or both would answer.
var originArguments = join(scoringCorsOrigins, ' --cors-origin ')
var serveArguments = empty(scoringCorsOrigins) ? scoringArguments : '${scoringArguments} --cors-origin ${originArguments}'

module workspace 'modules/workspace-stack.bicep' = {
  name: 'workspace-stack'
  params: {
    workspaceName: workspaceName
    baseName: baseName
    storageAccountName: 'st${shortName}${suffix}'
    keyVaultName: 'kv-${shortName}-${suffix}'
    registryName: 'cr${plainName}${suffix}'
    location: location
    storageAuthMode: workspaceStorageAuthMode
    storageSkuName: storageSkuName
    registrySkuName: registrySkuName
    logRetentionDays: logRetentionDays
    tags: allTags
  }
}

module edgeStorage 'modules/edge-storage.bicep' = {
  name: 'edge-storage'
  params: {
    name: empty(edgeStorageAccount) ? 'edge${shortName}${suffix}' : edgeStorageAccount
    location: location
    captureContainer: edgeCaptureContainer
    releaseContainer: modelReleaseContainer
    captureExpireDays: captureExpireDays
    skuName: storageSkuName
    tags: allTags
  }
}

// The studio shows captures and released models as the workspace. Labelling an external datastore asks for Contributor:
// https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-data-labeling
var workspaceEdgeRoles = [
  { container: edgeCaptureContainer, roleId: storageBlobDataContributor }
  { container: modelReleaseContainer, roleId: storageBlobDataReader }
]

module workspaceEdgeAccess 'modules/container-access.bicep' = [
  for (access, index) in workspaceEdgeRoles: {
    name: 'workspace-edge-access-${index}'
    params: {
      principalId: workspace.outputs.principalId
      storageAccountName: edgeStorage.outputs.name
      containerName: access.container
      roleId: access.roleId
    }
  }
]

module gpuCluster 'modules/compute-cluster.bicep' = {
  name: 'gpu-cluster'
  params: {
    name: amlComputeClusterName
    workspaceName: workspace.outputs.name
    location: location
    purpose: 'Trains: the trials of an AutoML run'
    vmSize: vmSize
    minNodes: amlClusterMinNodes
    maxNodes: amlClusterMaxNodes
    idleSecondsBeforeScaledown: idleSecondsBeforeScaledown
    priority: gpuClusterPriority
    tags: allTags
  }
}

module cpuCluster 'modules/compute-cluster.bicep' = {
  name: 'cpu-cluster'
  params: {
    name: amlCpuClusterName
    workspaceName: workspace.outputs.name
    location: location
    purpose: 'Waits: the step that submits the AutoML run and registers its best model'
    vmSize: cpuVmSize
    maxNodes: cpuClusterMaxNodes
    idleSecondsBeforeScaledown: idleSecondsBeforeScaledown
    tags: allTags
  }
}

module captureDatastore 'modules/datastore.bicep' = {
  name: 'capture-datastore'
  dependsOn: [workspaceEdgeAccess]
  params: {
    name: edgeDatastoreName
    workspaceName: workspace.outputs.name
    storageAccountName: edgeStorage.outputs.name
    containerName: edgeCaptureContainer
    purpose: 'Pictures that edge devices captured; they expire'
  }
}

module releaseDatastore 'modules/datastore.bicep' = {
  name: 'release-datastore'
  dependsOn: [workspaceEdgeAccess]
  params: {
    name: 'modelreleases'
    workspaceName: workspace.outputs.name
    storageAccountName: edgeStorage.outputs.name
    containerName: modelReleaseContainer
    purpose: 'Released models, as devices pull them'
  }
}

// Who may do what, besides the workspace itself; each module says it in its first lines.
module gpuClusterAccess 'modules/cluster-access.bicep' = {
  name: 'gpu-cluster-access'
  params: {
    principalId: gpuCluster.outputs.principalId
    label: 'gpu-cluster'
    workspaceName: workspace.outputs.name
    storageAccountName: workspace.outputs.storageAccountName
    registryName: workspace.outputs.registryName
    edgeStorageAccountName: edgeStorage.outputs.name
    captureContainer: edgeCaptureContainer
  }
}

module cpuClusterAccess 'modules/cluster-access.bicep' = {
  name: 'cpu-cluster-access'
  params: {
    principalId: cpuCluster.outputs.principalId
    label: 'cpu-cluster'
    workspaceName: workspace.outputs.name
    storageAccountName: workspace.outputs.storageAccountName
    registryName: workspace.outputs.registryName
    edgeStorageAccountName: edgeStorage.outputs.name
    captureContainer: edgeCaptureContainer
  }
}

module publisherAccess 'modules/publisher-access.bicep' = if (!empty(workspaceSvcPrincipalId)) {
  name: 'publisher-access'
  params: {
    principalId: workspaceSvcPrincipalId
    workspaceName: workspace.outputs.name
    storageAccountName: workspace.outputs.storageAccountName
    edgeStorageAccountName: edgeStorage.outputs.name
    captureContainer: edgeCaptureContainer
    releaseContainer: modelReleaseContainer
  }
}

// azure-resource-connection has the group from bootstrap.sh; here it gets the images, and the web app's key to set.
module deployerImages 'modules/registry-access.bicep' = if (!empty(azureRmSvcPrincipalId)) {
  name: 'deployer-images'
  params: {
    principalId: azureRmSvcPrincipalId
    registryName: workspace.outputs.registryName
    roleId: acrPush
  }
}

module deployerKey 'modules/vault-access.bicep' = if (deployWebApp && !empty(azureRmSvcPrincipalId)) {
  name: 'deployer-key'
  dependsOn: [scoring]
  params: {
    principalId: azureRmSvcPrincipalId
    keyVaultName: scoringVault
    roles: [keyVaultSecretsOfficer]
  }
}

module people 'modules/person-access.bicep' = [
  for (principalId, index) in dataScientistPrincipalIds: {
    name: 'person-access-${index}'
    params: {
      principalId: principalId
      principalType: dataScientistPrincipalType
      label: 'person-${index}'
      workspaceName: workspace.outputs.name
      storageAccountName: workspace.outputs.storageAccountName
      edgeStorageAccountName: edgeStorage.outputs.name
      captureContainer: edgeCaptureContainer
    }
  }
]

// Devices read released models, and nothing else of the account.
module edgeReaders 'modules/container-access.bicep' = [
  for (principalId, index) in edgeReaderPrincipalIds: {
    name: 'edge-reader-${index}'
    params: {
      principalId: principalId
      principalType: edgeReaderPrincipalType
      storageAccountName: edgeStorage.outputs.name
      containerName: modelReleaseContainer
      roleId: storageBlobDataReader
    }
  }
]

// Devices send captures, and do nothing else: account keys are off, so they come as themselves. No built-in role writes
// without reading.
module edgeWriters 'modules/container-access.bicep' = [
  for (principalId, index) in edgeWriterPrincipalIds: {
    name: 'edge-writer-${index}'
    params: {
      principalId: principalId
      principalType: edgeWriterPrincipalType
      storageAccountName: edgeStorage.outputs.name
      containerName: edgeCaptureContainer
      roleId: storageBlobDataContributor
    }
  }
]

module scoring 'modules/scoring.bicep' = if (deployWebApp) {
  name: 'scoring'
  params: {
    name: scoringApp
    keyVaultName: scoringVault
    location: location
    registryName: workspace.outputs.registryName
    image: '${workspace.outputs.registryLoginServer}/${scoringImage}'
    serveArguments: serveArguments
    skuName: webAppSkuName
    instances: webAppInstances
    tags: allTags
  }
}

module edgeHub 'modules/edge-hub.bicep' = if (deployIotHub) {
  name: 'edge-hub'
  params: {
    name: hubName
    location: location
    storageAccountName: edgeStorage.outputs.name
    containerName: edgeCaptureContainer
    skuName: iotHubSkuName
    tags: allTags
  }
}

@description('Resource id of the workspace.')
output resourceId string = workspace.outputs.resourceId

@description('Name of the workspace.')
output name string = workspace.outputs.name

@description('Name of the GPU cluster.')
output gpuClusterName string = gpuCluster.outputs.name

@description('Name of the CPU cluster.')
output cpuClusterName string = cpuCluster.outputs.name

@description('Name of the storage account of captures and releases: setting EDGE_STORAGE_ACCOUNT.')
output edgeStorageAccountName string = edgeStorage.outputs.name

@description('Address of the container that devices send captures to.')
output captureContainerUrl string = '${edgeStorage.outputs.blobEndpoint}${edgeCaptureContainer}'

@description('Address of the container that devices pull models from: cva model pull --registry.')
output releaseContainerUrl string = '${edgeStorage.outputs.blobEndpoint}${modelReleaseContainer}'

@description('Name of the datastore of the captures.')
output captureDatastoreName string = captureDatastore.outputs.name

@description('Name of the datastore of the released models.')
output releaseDatastoreName string = releaseDatastore.outputs.name

@description('Name of the container registry.')
output registryName string = workspace.outputs.registryName

@description('Host that images are pushed to.')
output registryLoginServer string = workspace.outputs.registryLoginServer

@description('Name of the web app; empty when there is none.')
output webAppName string = deployWebApp ? scoringApp : ''

@description('Vault of the web app\'s key, secret scoring-key; empty when there is none.')
output scoringVaultName string = deployWebApp ? scoringVault : ''

@description('Name of the IoT Hub; empty when there is none.')
output iotHubName string = deployIotHub ? hubName : ''
