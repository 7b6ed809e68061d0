// The function app on Flex Consumption. HTTP functions scale as one group, every queue's function on its own. The plan has
// one maximum, for the app, and none for a single function: what one queue or job type may do at once is bounded in
// host.json and by the app's own settings (DTQ_SLOTS, DTQ_JOB_TYPE_LIMITS).

@description('Azure region.')
param location string
@description('Tags of the resources.')
param tags object
@description('Name of the app.')
param name string
@description('Name of the plan.')
param planName string
@description('Resource id of the identity that the app runs as.')
param identityId string
@description('Client id of the same identity.')
param identityClientId string
@description('Python version.')
param pythonVersion string
@description('Memory of an instance in MB.')
param instanceMemoryMB int
@description('Most instances of the app.')
param maximumInstanceCount int
@description('Warm instances of run_critical.')
param criticalAlwaysReady int
@description('Warm instances of the HTTP functions.')
param httpAlwaysReady int
@description('HTTP requests that an instance takes at once.')
param httpConcurrency int
@description('Spread instances over the region\'s zones.')
param zoneRedundant bool
@description('Subnet to reach private endpoints from; empty: none.')
param subnetId string
@description('Origin of the page, which may call the API.')
param allowedOrigin string
@description('Account of the app\'s code, the host\'s state and the tables.')
param storageAccountName string
@description('Container that the app\'s code is deployed to.')
param deploymentContainerUrl string
@description('Endpoint of the tables.')
param tablesEndpoint string
@description('Host name of the Service Bus namespace.')
param serviceBusEndpoint string
@description('Endpoint of Cosmos DB.')
param cosmosEndpoint string
@description('Endpoint of SignalR.')
param signalREndpoint string
@description('Where telemetry goes. An address, not a secret: local authentication is off.')
param applicationInsightsConnectionString string
@description('The app\'s own settings, by name.')
param settings object

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  // azd finds by this tag where the service `api` of azure.yaml goes.
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: filter(
          [
            { name: 'http', instanceCount: httpAlwaysReady }
            { name: 'function:run_critical', instanceCount: criticalAlwaysReady }
          ],
          group => group.instanceCount > 0
        )
        triggers: {
          http: { perInstanceConcurrency: httpConcurrency }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      cors: { allowedOrigins: [allowedOrigin] }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      AzureWebJobsStorage__accountName: storageAccountName
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      ServiceBusConnection__fullyQualifiedNamespace: serviceBusEndpoint
      ServiceBusConnection__credential: 'managedidentity'
      ServiceBusConnection__clientId: identityClientId
      TablesConnection__endpoint: tablesEndpoint
      TablesConnection__clientId: identityClientId
      CosmosConnection__accountEndpoint: cosmosEndpoint
      CosmosConnection__clientId: identityClientId
      AzureSignalRConnectionString__serviceUri: signalREndpoint
      AzureSignalRConnectionString__clientId: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    },
    settings
  )
}

resource noFtpPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noDeploymentPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
