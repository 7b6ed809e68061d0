// Jobs' results. The container is what shared/azure/cosmos.py makes locally; `make infra-check` compares the two.

@description('Azure region.')
param location string
@description('Tags of the account.')
param tags object
@description('Name of the account.')
param name string
@description('Name of the database.')
param databaseName string
@description('How the account is paid.')
@allowed(['serverless', 'autoscale'])
param mode string
@description('Most request units a second of the container, with autoscale.')
param maxThroughput int
@description('Keep copies in the region\'s zones.')
param zoneRedundant bool
@description('Take connections from private endpoints only.')
param isPrivate bool

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: mode == 'serverless' ? [{ name: 'EnableServerless' }] : []
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    locations: [
      {
        locationName: location
        failoverPriority: 0
        isZoneRedundant: zoneRedundant
      }
    ]
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    // Continuous backup of the last seven days costs nothing extra.
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: { tier: 'Continuous7Days' }
    }
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-04-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: { id: databaseName }
  }
}

resource results 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-04-15' = {
  parent: database
  name: 'results'
  properties: {
    options: mode == 'autoscale' ? { autoscaleSettings: { maxThroughput: maxThroughput } } : {}
    resource: {
      id: 'results'
      partitionKey: {
        kind: 'Hash'
        version: 2
        paths: ['/pk']
      }
      // On, without a default: each document carries its own.
      defaultTtl: -1
      indexingPolicy: {
        indexingMode: 'consistent'
        includedPaths: [{ path: '/*' }]
        excludedPaths: [
          { path: '/result/*' }
          { path: '/job/payload/*' }
          { path: '/job/timeline/*' }
          { path: '/"_etag"/?' }
        ]
      }
    }
  }
}

output name string = account.name
output databaseName string = database.name
output endpoint string = account.properties.documentEndpoint
