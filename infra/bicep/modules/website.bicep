// The page, as a static website. It has a storage account of its own, so that what is public shares nothing with the
// app's data, and who uploads the page has rights to nothing else.

@description('Azure region.')
param location string
@description('Tags of the account.')
param tags object
@description('Name of the account.')
@maxLength(24)
param name string
@description('Keep copies in three zones of the region.')
param zoneRedundant bool

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    // A static website is served from its own address whatever this says; it keeps everything else shut.
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
  }
}

// The first API version that can switch a static website on; before it, that took a call to the data plane.
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = {
  parent: account
  name: 'default'
  properties: {
    staticWebsite: {
      enabled: true
      indexDocument: 'index.html'
    }
  }
}

output name string = account.name
// An origin has no slash at its end.
output origin string = take(account.properties.primaryEndpoints.web, length(account.properties.primaryEndpoints.web) - 1)
