// What watches the queue: alerts, who is told, the workbook, and the audit trail of the services.
// Queries live in infra/monitoring as files, where a test parses them; what to do about each alert is in docs/how-to/runbooks.

@description('Region of what is not global.')
param location string

@description('Tags of every resource.')
param tags object

@description('Beginning of every name.')
param namePrefix string

@description('The Service Bus namespace that holds the queues.')
param serviceBusNamespaceName string

@description('The function app, for the text of the alerts.')
param functionAppName string

@description('The Cosmos DB account that holds the results.')
param cosmosAccountName string

@description('The storage account that holds the status table.')
param storageAccountName string

@description('Resource id of the Log Analytics workspace.')
param logAnalyticsWorkspaceId string

@description('Resource id of the Application Insights component that the app reports to.')
param applicationInsightsId string

@description('Where alerts are mailed to; empty: nobody is told, the portal shows them.')
param actionGroupEmail string = ''

resource serviceBus 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: serviceBusNamespaceName
}

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' existing = {
  name: cosmosAccountName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-01-01' existing = {
  parent: storage
  name: 'default'
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(actionGroupEmail)) {
  name: '${namePrefix}-alerts'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'dtq'
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: actionGroupEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

var actionGroupIds = empty(actionGroupEmail) ? [] : [actionGroup.id]

// Letters are forwarded out of the queues' own dead-letter subqueues, so that DeadletteredMessages of the job queues reads
// 0 for ever: what counts there is the active messages of the queues that they end up in.
var metricAlerts = [
  {
    runbook: 'dead-letters'
    description: 'Jobs of ${functionAppName} have failed for good; their letters wait in jobs-dead.'
    severity: 3
    scope: serviceBus.id
    metricNamespace: 'Microsoft.ServiceBus/namespaces'
    metricName: 'ActiveMessages'
    dimension: 'EntityName'
    values: ['jobs-dead']
    aggregation: 'Maximum'
    threshold: 0
    window: 'PT15M'
  }
  {
    // Average, not maximum: a message passes through in seconds, and one that stays keeps the average up.
    runbook: 'poison'
    description: 'Messages of ${functionAppName} that the broker gave up stay in jobs-poison: nothing settles them.'
    severity: 1
    scope: serviceBus.id
    metricNamespace: 'Microsoft.ServiceBus/namespaces'
    metricName: 'ActiveMessages'
    dimension: 'EntityName'
    values: ['jobs-poison']
    aggregation: 'Average'
    threshold: 0
    window: 'PT15M'
  }
  {
    runbook: 'poison'
    description: 'Messages lie in the dead-letter subqueue of jobs-poison: bury_poison has failed for each ten times.'
    severity: 1
    scope: serviceBus.id
    metricNamespace: 'Microsoft.ServiceBus/namespaces'
    metricName: 'DeadletteredMessages'
    dimension: 'EntityName'
    values: ['jobs-poison']
    aggregation: 'Maximum'
    threshold: 0
    window: 'PT15M'
  }
  {
    runbook: 'throttling'
    description: 'Service Bus throttles ${functionAppName}: the namespace has used up its credits.'
    severity: 2
    scope: serviceBus.id
    metricNamespace: 'Microsoft.ServiceBus/namespaces'
    metricName: 'ThrottledRequests'
    dimension: 'EntityName'
    values: ['*']
    aggregation: 'Total'
    threshold: 10
    window: 'PT5M'
  }
  {
    runbook: 'throttling'
    description: 'Cosmos DB throttles ${functionAppName}: requests cost more request units than it gives.'
    severity: 2
    scope: cosmos.id
    metricNamespace: 'Microsoft.DocumentDB/databaseAccounts'
    metricName: 'TotalRequests'
    dimension: 'StatusCode'
    values: ['429']
    aggregation: 'Count'
    threshold: 10
    window: 'PT5M'
  }
  {
    runbook: 'throttling'
    description: 'Table Storage throttles ${functionAppName}: one partition or the account is too busy.'
    severity: 2
    scope: tables.id
    metricNamespace: 'Microsoft.Storage/storageAccounts/tableServices'
    metricName: 'Transactions'
    dimension: 'ResponseType'
    values: ['ServerBusyError', 'ClientAccountRequestThrottlingError', 'ClientAccountBandwidthThrottlingError']
    aggregation: 'Total'
    threshold: 10
    window: 'PT5M'
  }
]

var queryAlerts = [
  {
    runbook: 'backlog-age'
    description: 'Jobs of ${functionAppName} wait longer than their priority allows.'
    severity: 2
    query: loadTextContent('../../monitoring/alerts/backlog-age.kql')
    window: 'PT10M'
  }
  {
    runbook: 'failure-rate'
    description: 'More than a tenth of the jobs of one type of ${functionAppName} fail for good.'
    severity: 2
    query: loadTextContent('../../monitoring/alerts/failure-rate.kql')
    window: 'PT15M'
  }
  {
    runbook: 'breaker-open'
    description: 'A circuit breaker of ${functionAppName} is open: jobs of that type wait for their provider.'
    severity: 3
    query: loadTextContent('../../monitoring/alerts/breaker-open.kql')
    window: 'PT10M'
  }
  {
    runbook: 'no-heartbeat'
    description: 'The janitor of ${functionAppName} has not finished a round for ten minutes.'
    severity: 1
    query: loadTextContent('../../monitoring/alerts/no-heartbeat.kql')
    window: 'PT10M'
  }
]

resource metricRules 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for (alert, index) in metricAlerts: {
    name: '${namePrefix}-${alert.runbook}-${index}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [alert.scope]
      evaluationFrequency: 'PT5M'
      windowSize: alert.window
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: alert.runbook
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: alert.metricNamespace
            metricName: alert.metricName
            dimensions: [
              {
                name: alert.dimension
                operator: 'Include'
                values: alert.values
              }
            ]
            timeAggregation: alert.aggregation
            operator: 'GreaterThan'
            threshold: alert.threshold
          }
        ]
      }
      actions: [
        for id in actionGroupIds: {
          actionGroupId: id
          webHookProperties: {
            runbook: 'docs/how-to/runbooks/${alert.runbook}.md'
          }
        }
      ]
    }
  }
]

resource queryRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in queryAlerts: {
    name: '${namePrefix}-${alert.runbook}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${namePrefix}-${alert.runbook}'
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [applicationInsightsId]
      evaluationFrequency: 'PT5M'
      windowSize: alert.window
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: actionGroupIds
        customProperties: {
          runbook: 'docs/how-to/runbooks/${alert.runbook}.md'
        }
      }
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, namePrefix, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: '${namePrefix} task queue'
    serializedData: loadTextContent('../../monitoring/workbook.json')
    sourceId: applicationInsightsId
    version: 'Notebook/1.0'
  }
}

// Who created, changed or deleted queues and keys. Metrics are not sent: the portal keeps them for 93 days without cost.
resource serviceBusAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: serviceBus
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [
      {
        category: 'OperationalLogs'
        enabled: true
      }
    ]
  }
}

resource cosmosAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: cosmos
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [
      {
        category: 'ControlPlaneRequests'
        enabled: true
      }
    ]
  }
}
