// The broker: one queue a priority, one for what the broker gave up on, one for every dead letter. local/Config.json
// gives the local broker the same queues; `make infra-check` compares the two.

@description('Azure region.')
param location string
@description('Tags of the namespace.')
param tags object
@description('Name of the namespace.')
param name string
@description('Tier of the namespace.')
@allowed(['Standard', 'Premium'])
param sku string
@description('Messaging units of a Premium namespace.')
param capacity int
@description('Take connections from private endpoints only.')
param isPrivate bool

var isPremium = sku == 'Premium'
var jobQueueNames = ['jobs-critical', 'jobs-high', 'jobs-medium', 'jobs-low']

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
    tier: sku
    capacity: isPremium ? capacity : null
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    premiumMessagingPartitions: isPremium ? 1 : null
  }
}

// Every dead letter, kept for 14 days. Looking through them gives letters back, which counts as a delivery each time.
resource deadQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: 'jobs-dead'
  properties: {
    lockDuration: 'PT1M'
    maxDeliveryCount: 2000
    defaultMessageTimeToLive: 'P14D'
    deadLetteringOnMessageExpiration: false
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'PT10M'
    requiresSession: false
  }
}

// Messages that the broker delivered too often or kept too long arrive here, and a function fails their jobs.
resource poisonQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: 'jobs-poison'
  properties: {
    lockDuration: 'PT1M'
    maxDeliveryCount: 10
    defaultMessageTimeToLive: 'P14D'
    deadLetteringOnMessageExpiration: true
    requiresDuplicateDetection: false
    duplicateDetectionHistoryTimeWindow: 'PT10M'
    requiresSession: false
  }
}

// Duplicate detection and sessions are fixed when a queue is created: to change them is to delete the queue.
resource jobQueues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [
  for queueName in jobQueueNames: {
    parent: namespace
    name: queueName
    properties: {
      lockDuration: 'PT1M'
      maxDeliveryCount: 5
      defaultMessageTimeToLive: 'P14D'
      deadLetteringOnMessageExpiration: true
      forwardDeadLetteredMessagesTo: poisonQueue.name
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: 'PT10M'
      requiresSession: false
    }
  }
]

output name string = namespace.name
output endpoint string = '${namespace.name}.servicebus.windows.net'
output queueNames array = concat(jobQueueNames, [poisonQueue.name, deadQueue.name])
