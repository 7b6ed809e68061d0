// The identity that the function app runs as. Its roles stand in roles.bicep, all of them.

@description('Azure region.')
param location string
@description('Tags of the resource.')
param tags object
@description('Name of the identity.')
param name string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
