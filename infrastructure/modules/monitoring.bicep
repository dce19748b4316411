// Log Analytics and the Application Insights that writes into it. Knows nothing about who logs.

@description('Required. Name of the Log Analytics workspace.')
@minLength(4)
@maxLength(63)
param logAnalyticsName string

@description('Required. Name of the Application Insights resource.')
param applicationInsightsName string

@description('Required. Azure region.')
param location string

@description('Optional. Days that logs are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int = 30

@description('Optional. Most gigabytes of logs a day; what comes after that is dropped until the next day.')
@minValue(1)
param dailyQuotaGb int = 1

@description('Optional. Tags of every resource here.')
param tags object = {}

resource logAnalytics 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: logAnalyticsName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyQuotaGb
    }
    features: {
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

// Local authentication stays on: the Azure ML service writes with the connection string that it looks up itself.
resource applicationInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: applicationInsightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    IngestionMode: 'LogAnalytics'
    WorkspaceResourceId: logAnalytics.id
  }
}

@description('Resource id of the Application Insights resource.')
output resourceId string = applicationInsights.id

@description('Name of the Application Insights resource.')
output name string = applicationInsights.name
