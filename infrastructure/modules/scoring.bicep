// Everything that serves: a vault for the callers' key, an identity, the plan, the web app.

@description('Required. Name of the web app, unique in the world.')
param name string

@description('Required. Name of the vault of the callers\' key; one of its own, as the app may read all that is in it.')
param keyVaultName string

@description('Required. Azure region.')
param location string

@description('Required. Container registry that the image is pulled from.')
param registryName string

@description('Required. Image with its registry and tag.')
param image string

@description('Required. Arguments of `cva serve`.')
param serveArguments string

@description('Optional. Size of the plan.')
param skuName string = 'P0v3'

@description('Optional. Machines of the plan.')
@minValue(1)
param instances int = 1

@description('Optional. Tags of every resource here.')
param tags object = {}

module vault 'key-vault.bicep' = {
  name: 'scoring-vault'
  params: {
    name: keyVaultName
    location: location
    tags: tags
  }
}

module identity 'scoring-identity.bicep' = {
  name: 'scoring-rights'
  params: {
    name: '${name}-id'
    location: location
    registryName: registryName
    keyVaultName: vault.outputs.name
    tags: tags
  }
}

module plan 'app-service-plan.bicep' = {
  name: 'scoring-plan'
  params: {
    name: '${name}-plan'
    location: location
    skuName: skuName
    instances: instances
    tags: tags
  }
}

module app 'web-app.bicep' = {
  name: 'scoring-app'
  params: {
    name: name
    location: location
    planResourceId: plan.outputs.resourceId
    identityResourceId: identity.outputs.resourceId
    identityClientId: identity.outputs.clientId
    image: image
    serveArguments: serveArguments
    keyUri: '${vault.outputs.uri}secrets/scoring-key'
    tags: tags
  }
}

module basicAuthOff 'basic-auth-off.bicep' = {
  name: 'scoring-basic-auth-off'
  params: {
    siteName: app.outputs.name
  }
}

@description('Resource id of the web app.')
output resourceId string = app.outputs.resourceId

@description('Name of the web app.')
output name string = app.outputs.name
