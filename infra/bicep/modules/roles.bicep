// Who may do what: every role assignment of the product stands here. Nothing has a key, so nothing works without these.

@description('Object id of the app\'s identity.')
param appPrincipalId string
@description('Object id of who uploads the page; empty: nobody.')
param deployerPrincipalId string
@description('Whether that is a person or a pipeline\'s identity.')
param deployerPrincipalType string
@description('The app\'s storage account.')
param storageAccountName string
@description('The page\'s storage account.')
param websiteAccountName string
@description('The Service Bus namespace.')
param serviceBusNamespaceName string
@description('The queues of the namespace.')
param queueNames array
@description('The Cosmos DB account.')
param cosmosAccountName string
@description('The database of the results.')
param cosmosDatabaseName string
@description('The SignalR service.')
param signalRName string
@description('The Application Insights component.')
param applicationInsightsName string

// Built-in roles: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var serviceBusDataOwner = '090c5cfd-751d-490a-894a-3ce6f1109419'
var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageTableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var signalRServiceOwner = '7e4f1700-ea5a-4f59-8f37-079cfe29dce3'
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'
// A role of Cosmos DB's own data plane, not of Azure.
var cosmosDataContributor = '00000000-0000-0000-0000-000000000002'

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource website 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: websiteAccountName
}

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: serviceBusNamespaceName
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for queueName in queueNames: {
    parent: namespace
    name: queueName
  }
]

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' existing = {
  name: cosmosAccountName
}

resource signalR 'Microsoft.SignalRService/signalR@2024-03-01' existing = {
  name: signalRName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

// The app sends, receives, reads the queues' counts and pauses them, and Azure reads their length to scale: manage, on
// each queue, and on nothing else of the namespace.
resource queueRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (queueName, index) in queueNames: {
    name: guid(queues[index].id, appPrincipalId, serviceBusDataOwner)
    scope: queues[index]
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', serviceBusDataOwner)
    }
  }
]

// The Functions host reads the app's code and keeps its leases and keys in blobs, in containers that it makes.
resource blobRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, appPrincipalId, storageBlobDataOwner)
  scope: storage
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
  }
}

resource tableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, appPrincipalId, storageTableDataContributor)
  scope: storage
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageTableDataContributor)
  }
}

// Documents of one database. To make databases and containers is for this template alone.
resource cosmosRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: cosmos
  name: guid(cosmos.id, cosmosDatabaseName, appPrincipalId, cosmosDataContributor)
  properties: {
    principalId: appPrincipalId
    roleDefinitionId: '${cosmos.id}/sqlRoleDefinitions/${cosmosDataContributor}'
    scope: '${cosmos.id}/dbs/${cosmosDatabaseName}'
  }
}

// REST calls and tokens for browsers; a smaller role allows only one of the two.
resource signalRRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(signalR.id, appPrincipalId, signalRServiceOwner)
  scope: signalR
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', signalRServiceOwner)
  }
}

resource telemetryRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(applicationInsights.id, appPrincipalId, monitoringMetricsPublisher)
  scope: applicationInsights
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}

resource pageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  name: guid(website.id, deployerPrincipalId, storageBlobDataContributor)
  scope: website
  properties: {
    principalId: deployerPrincipalId
    principalType: deployerPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
  }
}
