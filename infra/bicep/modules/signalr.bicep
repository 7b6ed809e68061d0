// Live changes to browsers. In serverless mode the app only calls the REST API and holds no connection.

@description('Azure region.')
param location string
@description('Tags of the service.')
param tags object
@description('Name of the service.')
param name string
@description('Tier of the service.')
@allowed(['Free_F1', 'Standard_S1', 'Premium_P1'])
param sku string
@description('Units of the service.')
param units int
@description('Origin of the page.')
param allowedOrigin string

resource signalR 'Microsoft.SignalRService/signalR@2024-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'SignalR'
  sku: {
    name: sku
    capacity: units
  }
  properties: {
    features: [
      {
        flag: 'ServiceMode'
        value: 'Serverless'
      }
    ]
    cors: { allowedOrigins: [allowedOrigin] }
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }
}

output name string = signalR.name
output endpoint string = 'https://${signalR.properties.hostName}'
