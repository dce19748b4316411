// User name and password, which every web app is born with, deploy nothing: neither over FTP nor to its build service.

@description('Required. Name of the web app.')
param siteName string

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: siteName
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Resource id of the web app.')
output resourceId string = site.id

@description('Name of the web app.')
output name string = site.name
