// A network for the function app, and private endpoints of the services that hold data. The app's own address and
// SignalR stay public, for browsers call them.

@description('Azure region.')
param location string
@description('Tags of the resources.')
param tags object
@description('Name of the virtual network.')
param name string
@description('The app\'s storage account.')
param storageAccountName string
@description('The Cosmos DB account.')
param cosmosAccountName string
@description('The Service Bus namespace. Only Premium ones have private endpoints.')
param serviceBusNamespaceName string

// Flex Consumption runs on Container Apps, which the subnet is handed to.
var functionSubnetName = 'functions'
var endpointSubnetName = 'endpoints'
var endpoints = [
  {
    name: 'blob'
    zone: 'privatelink.blob.${environment().suffixes.storage}'
    group: 'blob'
    serviceId: storage.id
  }
  {
    name: 'table'
    zone: 'privatelink.table.${environment().suffixes.storage}'
    group: 'table'
    serviceId: storage.id
  }
  {
    name: 'cosmos'
    zone: 'privatelink.documents.azure.com'
    group: 'Sql'
    serviceId: cosmos.id
  }
  {
    name: 'servicebus'
    zone: 'privatelink.servicebus.windows.net'
    group: 'namespace'
    serviceId: serviceBus.id
  }
]

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' existing = {
  name: cosmosAccountName
}

resource serviceBus 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: serviceBusNamespaceName
}

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.80.0.0/20'] }
    subnets: [
      {
        name: functionSubnetName
        properties: {
          addressPrefix: '10.80.0.0/22'
          delegations: [
            {
              name: 'functions'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: endpointSubnetName
        properties: {
          addressPrefix: '10.80.4.0/26'
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for endpoint in endpoints: {
    name: endpoint.zone
    location: 'global'
    tags: tags
  }
]

resource zoneLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (endpoint, index) in endpoints: {
    parent: zones[index]
    name: 'link-${endpoint.name}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-07-01' = [
  for endpoint in endpoints: {
    name: 'pe-${endpoint.name}-${name}'
    location: location
    tags: tags
    properties: {
      subnet: { id: '${network.id}/subnets/${endpointSubnetName}' }
      privateLinkServiceConnections: [
        {
          name: endpoint.name
          properties: {
            privateLinkServiceId: endpoint.serviceId
            groupIds: [endpoint.group]
          }
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = [
  for (endpoint, index) in endpoints: {
    parent: privateEndpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.name
          properties: { privateDnsZoneId: zones[index].id }
        }
      ]
    }
  }
]

output functionSubnetId string = '${network.id}/subnets/${functionSubnetName}'
