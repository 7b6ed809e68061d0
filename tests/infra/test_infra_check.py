"""The templates are in order, and each of these faults, put into a copy of them one at a time, is found and named."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.infra_check.check import ROOT, check

MODULES = "infra/bicep/modules/"
MAIN = "infra/bicep/main.bicep"
LOCAL = "local.settings.json.example"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what is checked, to break; the code, which is not broken, by links."""
    shutil.copytree(ROOT / "infra", tmp_path / "infra")
    shutil.copy(ROOT / LOCAL, tmp_path)
    for name in ("shared", "functions", "local", "function_app.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@dataclass(frozen=True)
class Fault:
    """In `file` replace `before`, which stands there, by `after`; a finding in `at` (default: `file`) says `says`."""

    name: str
    file: str
    before: str
    after: str
    says: str
    at: str = ""


FAULTS = [
    # The language
    Fault("syntax", MODULES + "signalr.bicep", "kind: 'SignalR'", "kind: = 'SignalR'", "syntax error"),
    Fault("undefined name", MODULES + "cosmos.bicep", "locationName: location", "locationName: lokation",
          "lokation is not defined. Did you mean 'location'?"),
    Fault("unused parameter", MODULES + "cosmos.bicep", "param isPrivate bool",
          "param isPrivate bool\n@description('x')\nparam spare string = ''", "param spare is not used"),
    Fault("unused variable", MODULES + "service-bus.bicep", "var isPremium",
          "var spare = 1\nvar isPremium", "var spare is not used"),
    Fault("declared twice", MODULES + "storage.bicep", "var tableNames = ['jobs',",
          "var tableNames = []\nvar tableNames = ['jobs',", "tableNames is declared twice"),
    Fault("unknown function", MAIN, "toLower(uniqueString(", "toLower(uniqueText(",
          "the function uniqueText is not known"),
    Fault("wrong arity", MAIN, "uniqueString(subscription().id, environmentName, location)", "uniqueString()",
          "uniqueString() takes 1 to more arguments, not 0"),
    Fault("a function that hands out keys", MODULES + "storage.bicep", "= account.name",
          "= listKeys(account.id, '2025-01-01').keys[0].value", "list functions hand out keys"),
    # Between templates
    Fault("missing module file", MAIN, "'modules/signalr.bicep'", "'modules/signal.bicep'",
          "the file modules/signal.bicep is not there"),
    Fault("missing module parameter", MAIN, "    mode: cosmosMode\n", "", "module cosmos needs the param mode"),
    Fault("unknown module parameter", MAIN, "    mode: cosmosMode\n", "    mode: cosmosMode\n    modes: 1\n",
          "module cosmos has no param modes. Did you mean 'mode'?"),
    Fault("parameter of the wrong kind", MAIN, "    units: signalRUnits", "    units: 'one'",
          "param units is int, but the value is of kind string"),
    Fault("parameter that is not allowed", MAIN, "    mode: cosmosMode\n", "    mode: 'provisioned'\n",
          "param mode is 'provisioned', not one of serverless, autoscale"),
    Fault("unknown output", MAIN, "signalR.outputs.endpoint", "signalR.outputs.endpoints",
          "module signalR has no output endpoints. Did you mean 'endpoint'?"),
    Fault("output of another kind", MODULES + "storage.bicep", "output name string = account.name",
          "output name int = account.name", "output name is declared int, but is of kind string"),
    Fault("unknown parameter in a file", "infra/bicep/parameters/dev.json", '"logDailyQuotaGb"', '"logQuota"',
          "main.bicep has no param logQuota"),
    Fault("parameter out of range in a file", "infra/bicep/parameters/prod.json", '"value": 200', '"value": 2000',
          "param maximumInstanceCount is 2000, above its @maxValue of 1000"),
    Fault("parameter missing in a file", "infra/bicep/parameters/test.json",
          '    "location": { "value": "westeurope" },\n', "", "param location of main.bicep has no default"),
    Fault("missing dependsOn", MAIN, "  dependsOn: [roles]\n", "",
          "module functionApp must come after the roles: dependsOn: [roles]"),
    Fault("missing scope of a module", MAIN, "  name: 'budget'\n  scope: group\n", "  name: 'budget'\n",
          "module budget: scope is required here and missing"),
    Fault("item without a property", MODULES + "network.bicep", "    group: 'Sql'\n", "",
          "endpoint has no property group"),
    # The types of Azure
    Fault("wrong property", MODULES + "function-app.bicep", "httpsOnly: true", "httpOnly: true",
          "properties.httpOnly is not a property. Did you mean 'httpsOnly'?"),
    Fault("wrong kind", MODULES + "budget.bicep", "timeGrain: 'Monthly'", "timeGrain: 1", "is of kind int, not string"),
    Fault("wrong choice", MODULES + "cosmos.bicep", "defaultConsistencyLevel: 'Session'",
          "defaultConsistencyLevel: 'Sessions'", "is 'Sessions', not one of Eventual, Session"),
    Fault("wrong choice behind a condition", MODULES + "storage.bicep", "isPrivate ? 'Deny' : 'Allow'",
          "isPrivate ? 'Refuse' : 'Allow'", "is 'Refuse', not one of Allow, Deny"),
    Fault("read-only property", MODULES + "service-bus.bicep", "    disableLocalAuth: true\n",
          "    disableLocalAuth: true\n    status: 'Active'\n", "namespace: properties.status is read-only"),
    Fault("missing required property", MODULES + "cosmos.bicep", "    databaseAccountOfferType: 'Standard'\n", "",
          "databaseAccountOfferType is required and missing"),
    Fault("missing location", MODULES + "cosmos.bicep", "  location: location\n", "",
          "account: location is required and missing"),
    Fault("wrong API version", MODULES + "signalr.bicep", "@2024-03-01", "@2023-02-01",
          "the API version must be 2024-03-01"),
    Fault("reading what is not there", MODULES + "function-app.bicep", "app.properties.defaultHostName",
          "app.properties.defaultHostname", "has no property defaultHostname. Did you mean 'defaultHostName'?"),
    Fault("missing parent", MODULES + "storage.bicep", "  parent: blobs\n", "",
          "deployments: parent is required and missing"),
    Fault("wrong parent", MODULES + "storage.bicep", "parent: tableService", "parent: blobs",
          "tables: parent is a Microsoft.Storage/storageAccounts/blobServices@2025-01-01, not a"),
    Fault("missing tags", MODULES + "cosmos.bicep", "  tags: tags\n", "", "account: tags is required and missing"),
    Fault("tag by which azd deploys", MODULES + "function-app.bicep", "'azd-service-name': 'api'",
          "'azd-service-name': 'app'", "tags.azd-service-name is 'app', but must be api"),
    Fault("SignalR that keeps servers", MODULES + "signalr.bicep", "value: 'Serverless'", "value: 'Default'",
          "but must be with the service mode Serverless"),
    Fault("Cosmos DB that is paid by the hour", MODULES + "cosmos.bicep", "[{ name: 'EnableServerless' }]",
          "[{ name: 'EnableServerles' }]", "must be EnableServerless, or none for autoscale"),
    # Security
    Fault("local auth of Service Bus", MODULES + "service-bus.bicep", "disableLocalAuth: true",
          "disableLocalAuth: false", "properties.disableLocalAuth is False, but must be True"),
    Fault("local auth of Cosmos DB left to its default", MODULES + "cosmos.bicep", "    disableLocalAuth: true\n", "",
          "properties.disableLocalAuth is not set, but must be True"),
    Fault("shared keys", MODULES + "website.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true",
          "properties.allowSharedKeyAccess is True, but must be False"),
    Fault("public blobs", MODULES + "storage.bicep", "allowBlobPublicAccess: false", "allowBlobPublicAccess: true",
          "properties.allowBlobPublicAccess is True, but must be False"),
    Fault("TLS 1.0", MODULES + "storage.bicep", "'TLS1_2'", "'TLS1_0'", "minimumTlsVersion is 'TLS1_0', but must be"),
    Fault("passwords for deployment", MODULES + "function-app.bicep",
          "name: 'scm'\n  properties: { allow: false }", "name: 'scm'\n  properties: { allow: true }",
          "noDeploymentPasswords: properties.allow is True, but must be False"),
    Fault("every origin", MODULES + "function-app.bicep", "allowedOrigins: [allowedOrigin]", "allowedOrigins: ['*']",
          "allowedOrigins is ['*'], but must be without *"),
    # Roles
    Fault("missing role", MODULES + "roles.bicep", "'0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'",
          "'ba92f5b4-2d11-453d-a403-e96b0029c9fe'", "does not get the role Storage Table Data Contributor"),
    Fault("a role that is not given here", MODULES + "roles.bicep", "'3913510d-42f4-4e42-8a64-420c390055eb'",
          "'8e3af657-a8ff-443c-a75c-2fe8c4bcb635'", "the role 8e3af657-a8ff-443c-a75c-2fe8c4bcb635 is not one"),
    Fault("a wider role", MODULES + "roles.bicep", "    scope: queues[index]", "    scope: namespace",
          "Azure Service Bus Data Owner is given on Microsoft.ServiceBus/namespaces, not"),
    Fault("the whole Cosmos account", MODULES + "roles.bicep", "'${cosmos.id}/dbs/${cosmosDatabaseName}'", "cosmos.id",
          "the scope must be a database"),
    Fault("a queue without its role", MODULES + "service-bus.bicep", "[poisonQueue.name, deadQueue.name]",
          "[poisonQueue.name]", "Azure Service Bus Data Owner on the queue jobs-dead", MODULES + "roles.bicep"),
    # The broker
    Fault("renamed queue", MODULES + "service-bus.bicep", "'jobs-medium'", "'jobs-normal'",
          "local/Config.json has no queue jobs-normal"),
    Fault("missing queue", MODULES + "service-bus.bicep", ", 'jobs-low']", "]",
          "the queue jobs-low of local/Config.json is missing"),
    Fault("lock of half an hour", MODULES + "service-bus.bicep",
          "lockDuration: 'PT1M'\n      maxDeliveryCount: 5", "lockDuration: 'PT30M'\n      maxDeliveryCount: 5",
          "lockDuration is 'PT30M', but must be from PT5S to PT5M"),
    Fault("another delivery count", MODULES + "service-bus.bicep", "maxDeliveryCount: 5", "maxDeliveryCount: 6",
          "jobs-critical: maxDeliveryCount is 6, but 5 in local/Config.json"),
    Fault("forwarding to what may not exist yet", MODULES + "service-bus.bicep",
          "forwardDeadLetteredMessagesTo: poisonQueue.name", "forwardDeadLetteredMessagesTo: 'jobs-poison'",
          "forwardDeadLetteredMessagesTo names jobs-poison by a text"),
    # Alerts
    Fault("alert on a queue that is not there", MODULES + "monitoring.bicep", "values: ['jobs-dead']",
          "values: ['jobs-deads']", "watches the queue jobs-deads, which does not exist"),
    Fault("queue without an alert", MODULES + "monitoring.bicep", "metricName: 'ActiveMessages'\n    dimension: "
          "'EntityName'\n    values: ['jobs-dead']", "metricName: 'ActiveMessages'\n    dimension: 'EntityName'\n    "
          "values: ['*']", "no alert watches the queue jobs-dead"),
    Fault("jobs that may wait unseen", "infra/monitoring/alerts/backlog-age.kql", "dtq_oldest_seconds", "dtq_age",
          "no alert watches the queue jobs-critical", MODULES + "monitoring.bicep"),
    Fault("alert that tells nobody", MODULES + "monitoring.bicep", "actionGroups: actionGroupIds", "actionGroups: []",
          "queryRules: the alert has no action group"),
    # The code
    Fault("setting that the code reads", "infra/bicep/settings.json", '  "DTQ_LEASE_SECONDS": "30",\n', "",
          "the code reads the setting DTQ_LEASE_SECONDS, which is not given", MODULES + "function-app.bicep"),
    Fault("no settings at all", MODULES + "function-app.bicep", "Microsoft.Web/sites/config@", "Microsoft.Web/sites/x@",
          "no Microsoft.Web/sites/config gives the app its settings", MAIN),
    Fault("setting that nothing reads", MODULES + "function-app.bicep", "      TablesConnection__endpoint:",
          "      SPARE: 'x'\n      TablesConnection__endpoint:", "nothing reads the setting SPARE"),
    Fault("misspelt setting", "infra/bicep/parameters/dev.json", "DTQ_RESULT_TTL_DAYS", "DTQ_RESULT_TTL_DAY",
          "The setting DTQ_RESULT_TTL_DAY is unknown", MODULES + "function-app.bicep"),
    Fault("another default", "infra/bicep/settings.json", '"DTQ_LEASE_SECONDS": "30"', '"DTQ_LEASE_SECONDS": "60"',
          "DTQ_LEASE_SECONDS is '60', which is not the default of the code"),
    Fault("identity of a connection", MODULES + "function-app.bicep",
          "      CosmosConnection__clientId: identityClientId\n", "",
          "the code reads the setting CosmosConnection__clientId, which is not given"),
    Fault("setting of the host", MODULES + "function-app.bicep",
          "      AzureWebJobsStorage__credential: 'managedidentity'\n", "",
          "the Functions host needs the setting AzureWebJobsStorage__credential"),
    Fault("setting missing in the local example", LOCAL, '    "DTQ_LEASE_SECONDS": "30",\n', "",
          "the code reads the setting DTQ_LEASE_SECONDS, which is not given"),
    Fault("function that is not there", MODULES + "function-app.bicep", "function:run_critical", "function:run_urgent",
          "alwaysReady names function:run_urgent, but functions/ has no such function"),
    Fault("missing table", MODULES + "storage.bicep", "'jobhours', ", "",
          "the code uses the table jobhours, which is missing"),
    Fault("another partition key", MODULES + "cosmos.bicep", "paths: ['/pk']", "paths: ['/id']",
          "the partition key must be /pk"),
    Fault("another index", MODULES + "cosmos.bicep", "          { path: '/job/payload/*' }\n", "",
          "results: indexingPolicy is"),
]  # fmt: skip


def test_the_templates_are_in_order() -> None:
    assert [str(finding) for finding in check(ROOT)] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_found_and_named(copy: Path, fault: Fault) -> None:
    file = copy / fault.file
    content = file.read_text()
    assert fault.before in content, "the fault no longer fits the file: put it where its like stands now"
    file.write_text(content.replace(fault.before, fault.after, 1))
    found = [(str(finding.path), finding.message) for finding in check(copy)]
    at = fault.at or fault.file
    assert [message for path, message in found if path == at and fault.says in message], found
