// The Linux machines that web apps run on: what is paid for, whether somebody calls or not.

@description('Required. Name of the plan.')
@minLength(1)
@maxLength(60)
param name string

@description('Required. Azure region.')
param location string

@description('Optional. Size; B1 is the smallest that stays awake.')
param skuName string = 'P0v3'

@description('Optional. Machines.')
@minValue(1)
param instances int = 1

@description('Optional. Tags of the plan.')
param tags object = {}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  // checkov:skip=CKV_AZURE_225:Zones need three machines and can't be changed later
  name: name
  location: location
  tags: tags
  kind: 'linux'
  sku: {
    name: skuName
    capacity: instances
  }
  properties: {
    reserved: true
  }
}

@description('Resource id of the plan.')
output resourceId string = plan.id

@description('Name of the plan.')
output name string = plan.name
