// An identity that exists before what uses it, so that its roles can be there first.

@description('Required. Name of the identity.')
@minLength(3)
@maxLength(128)
param name string

@description('Required. Azure region.')
param location string

@description('Optional. Tags of the identity.')
param tags object = {}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output resourceId string = identity.id

@description('Name of the identity.')
output name string = identity.name

@description('Object id, which roles are assigned to.')
output principalId string = identity.properties.principalId

@description('Client id, which programs name it by.')
output clientId string = identity.properties.clientId
