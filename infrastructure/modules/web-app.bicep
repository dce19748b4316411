// The scoring container as a web app: HTTPS alone, its key from a vault, the image pulled with an identity.

@description('Required. Name of the app, unique in the world.')
@minLength(2)
@maxLength(60)
param name string

@description('Required. Azure region.')
param location string

@description('Required. Resource id of the plan it runs on.')
param planResourceId string

@description('Required. Resource id of the identity that pulls the image and reads the key.')
param identityResourceId string

@description('Required. Client id of that identity.')
param identityClientId string

@description('Required. Image with its registry and tag.')
param image string

@description('Required. What follows the name of the image: the arguments of `cva serve`, with its --cors-origin.')
param serveArguments string

@description('Required. Address of the secret that callers must show as a key.')
param keyUri string

@description('Optional. Tags of the app.')
param tags object = {}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  // checkov:skip=CKV_AZURE_17:Callers show a key, in a header
  // checkov:skip=CKV_AZURE_212:The number of machines is the plan's
  // checkov:skip=CKV_AZURE_222:It is there to be called from outside
  name: name
  location: location
  tags: tags
  kind: 'app,linux,container'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityResourceId}': {}
    }
  }
  properties: {
    serverFarmId: planResourceId
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityResourceId
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      appCommandLine: serveArguments
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: identityClientId
      alwaysOn: true
      healthCheckPath: '/health/ready'
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      httpLoggingEnabled: true
      detailedErrorLoggingEnabled: true
      requestTracingEnabled: true
      remoteDebuggingEnabled: false
      appSettings: [
        { name: 'WEBSITES_PORT', value: '8080' }
        { name: 'WEBSITES_ENABLE_APP_SERVICE_STORAGE', value: 'false' }
        { name: 'KEY', value: '@Microsoft.KeyVault(SecretUri=${keyUri})' }
      ]
    }
  }
}

@description('Resource id of the app.')
output resourceId string = site.id

@description('Name of the app.')
output name string = site.name
