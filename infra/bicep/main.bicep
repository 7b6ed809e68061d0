// Everything that DTQ needs in Azure, in a resource group of its own. `azd up` deploys it with main.parameters.json;
// `az deployment sub create` with one of the files in parameters/.
targetScope = 'subscription'

@description('Name of the environment. It names the resource group and is part of what makes resource names unique.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Azure region of everything. It must offer Flex Consumption.')
param location string

@description('Name of the resource group to create.')
param resourceGroupName string = 'rg-${environmentName}'

@description('Object id of who deploys, for the right to upload the page. Empty: nobody gets it.')
param principalId string = ''

@description('What principalId is: a person, or a pipeline\'s identity.')
@allowed(['User', 'ServicePrincipal'])
param principalType string = 'User'

@description('Python version of the function app.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.13'

@description('Memory of an instance in MB; it decides the processor share and the price per second too.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances that the app may scale out to.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('Instances of the critical queue\'s function that are kept warm and paid for all the time.')
@minValue(0)
@maxValue(20)
param criticalAlwaysReady int = 0

@description('Instances of the HTTP functions that are kept warm and paid for all the time.')
@minValue(0)
@maxValue(20)
param httpAlwaysReady int = 0

@description('HTTP requests that an instance takes at once. Callers that wait for a job (`?wait=30`) hold one each.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 64

@description('Service Bus tier. Standard is shared and throttled at 1,000 credits a second; Premium is not, and costs by the unit.')
@allowed(['Standard', 'Premium'])
param serviceBusSku string = 'Standard'

@description('Messaging units of a Premium namespace.')
@allowed([1, 2, 4, 8, 16])
param serviceBusCapacity int = 1

@description('How Cosmos DB is paid: by request, or by autoscaled throughput. An existing account cannot change it.')
@allowed(['serverless', 'autoscale'])
param cosmosMode string = 'serverless'

@description('Most request units a second of the results container, with autoscale; it scales down to a tenth.')
@minValue(1000)
@maxValue(1000000)
param cosmosMaxThroughput int = 1000

@description('SignalR tier. Free_F1 holds 20 browsers and 20,000 messages a day.')
@allowed(['Free_F1', 'Standard_S1', 'Premium_P1'])
param signalRSku string = 'Free_F1'

@description('Units of SignalR; each holds 1,000 browsers. Free_F1 has one.')
@minValue(1)
@maxValue(100)
param signalRUnits int = 1

@description('Spread storage, functions and Cosmos DB over the region\'s zones. The region must have them.')
param zoneRedundant bool = false

@description('Reach storage, Cosmos DB and Service Bus by private endpoints only. Needs serviceBusSku Premium.')
param privateNetwork bool = false

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes of logs a day, at which ingestion stops until the next day; -1: no limit.')
@minValue(-1)
param logDailyQuotaGb int = 5

@description('Who is told of alerts. Empty: alerts fire, but nobody is told.')
param alertEmail string = ''

@description('Monthly budget of the resource group in the currency of the subscription; 0: none. It needs alertEmail.')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the month that the budget begins with, as 2026-11-01. A budget that exists cannot change it.')
param budgetStart string = utcNow('yyyy-MM-01')

@description('Settings of the app (DTQ_...) that differ from settings.json.')
param settingOverrides object = {}

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
  application: 'dtq'
}
var settings = union(loadJsonContent('settings.json'), settingOverrides)
var busSku = privateNetwork && serviceBusSku == 'Standard'
  ? fail('privateNetwork needs serviceBusSku Premium: a Standard namespace has no private endpoints.')
  : serviceBusSku

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'id-dtq-${token}'
  }
}

module observability 'modules/observability.bicep' = {
  name: 'observability'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceName: 'log-dtq-${token}'
    componentName: 'appi-dtq-${token}'
    retentionDays: logRetentionDays
    dailyQuotaGb: logDailyQuotaGb
  }
}

module serviceBus 'modules/service-bus.bicep' = {
  name: 'service-bus'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'sb-dtq-${token}'
    sku: busSku
    capacity: serviceBusCapacity
    isPrivate: privateNetwork
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'stdtq${token}'
    zoneRedundant: zoneRedundant
    isPrivate: privateNetwork
  }
}

module website 'modules/website.bicep' = {
  name: 'website'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'stweb${token}'
    zoneRedundant: zoneRedundant
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'cosmos-dtq-${token}'
    databaseName: settings.DTQ_COSMOS_DATABASE
    mode: cosmosMode
    maxThroughput: cosmosMaxThroughput
    zoneRedundant: zoneRedundant
    isPrivate: privateNetwork
  }
}

module signalR 'modules/signalr.bicep' = {
  name: 'signalr'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'sigr-dtq-${token}'
    sku: signalRSku
    units: signalRUnits
    allowedOrigin: website.outputs.origin
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'vnet-dtq-${token}'
    storageAccountName: storage.outputs.name
    cosmosAccountName: cosmos.outputs.name
    serviceBusNamespaceName: serviceBus.outputs.name
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    storageAccountName: storage.outputs.name
    websiteAccountName: website.outputs.name
    serviceBusNamespaceName: serviceBus.outputs.name
    queueNames: serviceBus.outputs.queueNames
    cosmosAccountName: cosmos.outputs.name
    cosmosDatabaseName: cosmos.outputs.databaseName
    signalRName: signalR.outputs.name
    applicationInsightsName: observability.outputs.componentName
  }
}

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'func-dtq-${token}'
    planName: 'plan-dtq-${token}'
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    criticalAlwaysReady: criticalAlwaysReady
    httpAlwaysReady: httpAlwaysReady
    httpConcurrency: httpConcurrency
    zoneRedundant: zoneRedundant
    subnetId: privateNetwork ? network!.outputs.functionSubnetId : ''
    allowedOrigin: website.outputs.origin
    storageAccountName: storage.outputs.name
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    tablesEndpoint: storage.outputs.tablesEndpoint
    serviceBusEndpoint: serviceBus.outputs.endpoint
    cosmosEndpoint: cosmos.outputs.endpoint
    signalREndpoint: signalR.outputs.endpoint
    applicationInsightsConnectionString: observability.outputs.connectionString
    settings: settings
  }
  // The app reads its code and its keys from the storage account as soon as it is there.
  dependsOn: [roles]
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: 'dtq-${token}'
    serviceBusNamespaceName: serviceBus.outputs.name
    functionAppName: functionApp.outputs.name
    cosmosAccountName: cosmos.outputs.name
    storageAccountName: storage.outputs.name
    logAnalyticsWorkspaceId: observability.outputs.workspaceId
    applicationInsightsId: observability.outputs.componentId
    actionGroupEmail: alertEmail
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0 && !empty(alertEmail)) {
  name: 'budget'
  scope: group
  params: {
    name: 'budget-dtq-${token}'
    amount: monthlyBudget
    startDate: budgetStart
    email: alertEmail
  }
}

// azd keeps these as the environment's values; its hooks and the pipelines read them.
output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name
output API_URL string = functionApp.outputs.url
output WEBSITE_URL string = website.outputs.origin
output WEBSITE_STORAGE_ACCOUNT string = website.outputs.name
