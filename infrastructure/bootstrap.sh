#!/usr/bin/env bash
# What must be there before a pipeline can deploy anything: the resource group, an app registration for each of the two
# service connections, the connections themselves with workload identity federation (no secret anywhere), and rights.
# Looks first and names what is missing; then makes only what isn't there yet. Knows nothing of what is deployed later.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=asking.sh
source "$(dirname "${BASH_SOURCE[0]}")/asking.sh"

readonly ENDPOINT_RIGHTS=49b48001-ca20-4adc-8111-5b60c903a50c CREATE=4 # its security namespace of service connections
readonly PROVIDERS=(Microsoft.MachineLearningServices Microsoft.Storage Microsoft.KeyVault Microsoft.ContainerRegistry
  Microsoft.Insights Microsoft.OperationalInsights Microsoft.ManagedIdentity Microsoft.Web Microsoft.Devices)
# Every role that main.bicep assigns, and no other: the deploying connection can give these and take these.
readonly ASSIGNABLE=(
  b24988ac-6180-42a0-ab88-20f7382dd24c # Contributor
  00482a5a-887f-4fb3-b363-3b7fe8e74483 # Key Vault Administrator
  b86a8fe4-44ce-4948-aee5-eccb2c155cd7 # Key Vault Secrets Officer
  4633458b-17de-408a-b874-0445c86b69e6 # Key Vault Secrets User
  ba92f5b4-2d11-453d-a403-e96b0029c9fe # Storage Blob Data Contributor
  2a2b9908-6ea1-4ae2-8e65-a410df84e7d1 # Storage Blob Data Reader
  69566ab7-960f-475b-8e7c-b3118f30c6bd # Storage File Data Privileged Contributor
  7f951dda-4ed3-4680-a7ca-43fe172d538d # AcrPull
  8311e382-0749-4cb8-b61a-304f252e45ec # AcrPush
  f6c7c914-8db3-469d-8ca1-694a8f32e121 # AzureML Data Scientist
)

usage() {
  cat <<'TEXT'
usage: infrastructure/bootstrap.sh --organization ORG --project PROJECT [options]

  --organization ORG   Azure DevOps organization: dev.azure.com/ORG
  --project PROJECT    its project, where the service connections are made
  --no-devops          no service connections (and so no federated credentials); run again with them later
  --all-pipelines      every pipeline of the project may use the connections; otherwise each asks once to be permitted
  --no-user-roles      the signed-in person gets no rights on the data of the group
  --write              write the three ids that come out of it into variable_template.yml
  --deploy dev|prod    write them, then deploy infrastructure/ with main.parameters.dev.json or main.parameters.prod.json
  --dry-run            print every az command, make nothing
  --assume-rights      do not look for this login's Azure roles (needed for custom roles, which are not understood)

Names and the region come from variable_template.yml, through `cva settings show`. Log in first: az login
Exit codes: 0 done or nothing to do, 1 a call failed (run again), 2 usage, 3 a login or a right is missing (nothing was made).
TEXT
}

read_arguments() {
  organization='' project='' devops=yes all_pipelines=no user_roles=yes write=no deploy='' dry_run=no assume_rights=no
  while [[ $# -gt 0 ]]; do
    case $1 in
      --organization | --project | --deploy)
        [[ $# -gt 1 ]] || fail 2 "$1 needs a value" "see --help"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --no-devops) devops=no ;;
      --all-pipelines) all_pipelines=yes ;;
      --no-user-roles) user_roles=no ;;
      --write) write=yes ;;
      --dry-run) dry_run=yes ;;
      --assume-rights) assume_rights=yes ;;
      -h | --help) usage && exit 0 ;;
      *) fail 2 "'$1' is not an option" "see --help" ;;
    esac
    shift
  done
  [[ $devops == no || (-n $organization && -n $project) ]] ||
    fail 2 "--organization and --project are needed" "or --no-devops, to make the connections later"
  [[ $deploy =~ ^(dev|prod)?$ ]] || fail 2 "--deploy is dev or prod, found '$deploy'" "see --help"
  [[ -z $deploy ]] || write=yes
  organization=${organization#https://dev.azure.com/} organization=${organization%/}
}

read_settings() {
  local values
  values=$(settings_of BASE_NAME LOCATION RESOURCE_GROUP SUBSCRIPTION_ID AZURE_RM_SVC_CONNECTION WORKSPACE_SVC_CONNECTION)
  { read -r base && read -r location && read -r group && read -r subscription && read -r deployer && read -r publisher; } \
    <<<"$values"
}

# The body of a service connection: name, application, project id.
connection_body() {
  python3 -S - "$@" "$project" "$subscription" "$subscription_name" "$tenant" <<'PYTHON'
import json, sys

name, application, project_id, project, subscription, subscription_name, tenant = sys.argv[1:]
print(json.dumps({
    "name": name,
    "type": "azurerm",
    "url": "https://management.azure.com/",
    "owner": "library",
    "isShared": False,
    "isReady": True,
    "authorization": {
        "scheme": "WorkloadIdentityFederation",
        "parameters": {"tenantid": tenant, "serviceprincipalid": application},
    },
    "data": {
        "environment": "AzureCloud",
        "scopeLevel": "Subscription",
        "creationMode": "Manual",
        "subscriptionId": subscription,
        "subscriptionName": subscription_name,
    },
    "serviceEndpointProjectReferences": [{"name": name, "projectReference": {"id": project_id, "name": project}}],
}))
PYTHON
}

# The body of a federated credential: name, issuer, subject.
credential_body() {
  python3 -S -c '
import json, sys
name, issuer, subject = sys.argv[1:]
print(json.dumps({"name": name, "issuer": issuer, "subject": subject, "audiences": ["api://AzureADTokenExchange"]}))
' "$@"
}

look_at_login() {
  local answer kind user
  ask account show --output none || fail 3 "this machine is not logged in to Azure" "az login"
  answer=$(ask account show ${subscription:+--subscription "$subscription"} \
    --query '[id, tenantId, name, user.type, user.name]' --output tsv) ||
    fail 3 "this login does not see subscription $subscription" "az login to its tenant, or correct SUBSCRIPTION_ID"
  { read -r subscription && read -r tenant && read -r subscription_name && read -r kind && read -r user; } <<<"$answer"
  group_id=/subscriptions/$subscription/resourceGroups/$group
  if [[ $kind == user ]]; then
    me=$(ask ad signed-in-user show --query id --output tsv)
  else
    me=$(ask ad sp show --id "$user" --query id --output tsv)
    user_roles=no
  fi
  login_kind=$kind
}

# Whether this login may make resources, and give roles, at a scope.
roles_at() { ask role assignment list --assignee "$me" --scope "$1" --include-inherited --include-groups \
  --query '[].roleDefinitionName' --output tsv; }
may_make() { grep -qxE 'Owner|Contributor' <<<"$1"; }
may_give() { grep -qxE 'Owner|User Access Administrator|Role Based Access Control Administrator' <<<"$1"; }

look_at_azure() {
  local roles registered provider scope=$group_id where="resource group $group"
  group_exists=$(ask group exists --name "$group" --subscription "$subscription")
  registered=$(ask provider list --subscription "$subscription" \
    --query "[?registrationState=='Registered'].namespace" --output tsv)
  unregistered=()
  for provider in "${PROVIDERS[@]}"; do
    grep -qixF "$provider" <<<"$registered" || unregistered+=("$provider")
  done
  [[ $assume_rights == no ]] || return 0
  if [[ $group_exists != true || ${#unregistered[@]} -gt 0 ]]; then
    scope=/subscriptions/$subscription where="subscription $subscription"
  fi
  roles=$(roles_at "$scope")
  may_make "$roles" || missing+=("Contributor on $where, to make the group and register resource providers")
  may_give "$roles" || missing+=("Role Based Access Control Administrator (or Owner) on $where, to give the connections their roles")
}

# The application of a connection, or nothing when there is none yet. Names are not unique in Entra: two are an error.
application_of() {
  local found
  found=$(ask ad app list --filter "displayName eq '$base-$1'" --query '[].appId' --output tsv)
  [[ $(wc -w <<<"$found") -le 1 ]] || fail 3 "there are several app registrations named $base-$1" "delete all but one"
  printf '%s' "$found"
}

look_at_entra() {
  local allowed roles
  applications[$deployer]=$(application_of "$deployer")
  applications[$publisher]=$(application_of "$publisher")
  [[ -z ${applications[$deployer]} || -z ${applications[$publisher]} ]] || return 0
  [[ $login_kind == user && $assume_rights == no ]] || return 0
  allowed=$(ask rest --method get --url https://graph.microsoft.com/v1.0/policies/authorizationPolicy \
    --query defaultUserRolePermissions.allowedToCreateApps --output tsv) || allowed=unknown
  [[ $allowed != true ]] || return 0
  roles=$(ask rest --method get \
    --url "https://graph.microsoft.com/v1.0/me/transitiveMemberOf/microsoft.graph.directoryRole?\$select=displayName" \
    --query 'value[].displayName' --output tsv) || roles=''
  grep -qxE 'Global Administrator|(Cloud )?Application Administrator|Application Developer' <<<"$roles" ||
    missing+=("Application Developer in Entra tenant $tenant, to make the app registrations")
}

# id, application, issuer and subject of a connection, a line each; nothing when there is none.
connection_of() {
  devops ask get "${project// /%20}/_apis/serviceendpoint/endpoints?endpointNames=$1&api-version=7.1" --output tsv --query \
    'value[0].[id, authorization.parameters.serviceprincipalid, authorization.parameters.workloadIdentityFederationIssuer, authorization.parameters.workloadIdentityFederationSubject]'
}

look_at_devops() {
  local name owner allowed
  [[ $devops == yes ]] || return 0
  if ! project_id=$(devops ask get "_apis/projects/${project// /%20}?api-version=7.1" --query id --output tsv); then
    missing+=("access to Azure DevOps project $organization/$project (or there is none of that name)")
    return 0
  fi
  for name in "$deployer" "$publisher"; do
    connections[$name]=$(connection_of "$name")
    owner=$(sed -n 2p <<<"${connections[$name]}")
    [[ -z $owner || $owner == "${applications[$name]}" ]] ||
      fail 3 "connection $name exists, and belongs to application $owner instead of $base-$name; nothing was made" \
        "delete it in the project settings of $organization/$project, or name another one in variable_template.yml"
  done
  [[ -z ${connections[$deployer]} || -z ${connections[$publisher]} ]] || return 0
  [[ $assume_rights == no ]] || return 0
  allowed=$(devops ask get "_apis/permissions/$ENDPOINT_RIGHTS/$CREATE?tokens=endpoints/$project_id&api-version=7.1" \
    --query 'value[0]' --output tsv) || allowed=unknown
  [[ $allowed != false ]] ||
    missing+=("Creator of service connections in Azure DevOps project $organization/$project")
}

make_group() {
  local provider
  for provider in "${unregistered[@]}"; do
    make '' provider register --namespace "$provider" --subscription "$subscription" --wait --output none
  done
  [[ $group_exists == true ]] ||
    make '' group create --name "$group" --location "$location" --subscription "$subscription" --output none
}

# The application and the principal of a connection.
make_principal() {
  if [[ -n ${applications[$1]} ]]; then
    principals[$1]=$(ask ad sp list --filter "appId eq '${applications[$1]}'" --query '[].id' --output tsv)
  else
    applications[$1]=$(make "<application of $1>" ad app create --display-name "$base-$1" \
      --sign-in-audience AzureADMyOrg --query appId --output tsv)
  fi
  [[ -n ${principals[$1]} ]] ||
    principals[$1]=$(make "<principal of $1>" ad sp create --id "${applications[$1]}" --query id --output tsv)
}

# The connection, and the trust of its application in the issuer and subject that Azure DevOps gave it.
make_connection() {
  local answer id application issuer subject permits trusted='' permitted=''
  [[ $devops == yes ]] || return 0
  answer=${connections[$1]}
  if [[ -z $answer ]]; then
    answer=$(devops make "<id>"$'\n'"${applications[$1]}"$'\n<issuer>\n<subject>' post '_apis/serviceendpoint/endpoints?api-version=7.1' \
      --body "$(connection_body "$1" "${applications[$1]}" "$project_id")" --output tsv --query \
      '[id, authorization.parameters.serviceprincipalid, authorization.parameters.workloadIdentityFederationIssuer, authorization.parameters.workloadIdentityFederationSubject]')
  fi
  { read -r id && read -r application && read -r issuer && read -r subject; } <<<"$answer"
  [[ $issuer == https://* || $dry_run == yes ]] ||
    fail 1 "Azure DevOps has not given connection $1 its issuer yet" "wait a minute"
  [[ $application == '<'* ]] || trusted=$(ask ad app federated-credential list --id "$application" \
    --query "[?issuer=='$issuer' && subject=='$subject'].name" --output tsv)
  [[ -n $trusted ]] || make '' ad app federated-credential create --id "$application" --output none \
    --parameters "$(credential_body "$1-${id:0:8}" "$issuer" "$subject")"
  [[ $all_pipelines == yes ]] || return 0
  permits="${project// /%20}/_apis/pipelines/pipelinePermissions/endpoint/$id?api-version=7.1-preview.1"
  [[ $id == '<'* ]] || permitted=$(devops ask get "$permits" --query allPipelines.authorized --output tsv)
  [[ $permitted == true ]] ||
    devops make '' patch "$permits" --body '{"allPipelines": {"authorized": true}}' --output none
}

# One role on the resource group: principal, its kind, role, condition.
grant() {
  local found='' want=${4:-None}
  if [[ $1 != '<'* && ($group_exists == true || $dry_run == no) ]]; then
    found=$(ask role assignment list --assignee "$1" --role "$3" --scope "$group_id" \
      --query '[].[id, condition]' --output tsv)
  fi
  [[ -z $found || ${found#*$'\t'} != "$want" ]] || return 0
  [[ -z $found ]] || make '' role assignment delete --ids "${found%%$'\t'*}" --output none
  make '' role assignment create --assignee-object-id "$1" --assignee-principal-type "$2" --role "$3" \
    --scope "$group_id" ${4:+--condition "$4" --condition-version 2.0} --output none
}

make_rights() {
  local ids condition given=Microsoft.Authorization/roleAssignments
  printf -v ids '%s, ' "${ASSIGNABLE[@]}"
  condition="ForAnyOfAnyValues:GuidEquals {${ids%, }}"
  condition="((!(ActionMatches{'$given/write'})) OR (@Request[$given:RoleDefinitionId] $condition)) AND \
((!(ActionMatches{'$given/delete'})) OR (@Resource[$given:RoleDefinitionId] $condition))"
  grant "${principals[$deployer]}" ServicePrincipal Contributor
  grant "${principals[$deployer]}" ServicePrincipal 'Role Based Access Control Administrator' "$condition"
  # The publishing connection gets its rights from main.bicep, on the workspace and its storage alone.
  [[ $user_roles == yes ]] || return 0
  grant "$me" User 'AzureML Data Scientist'
  grant "$me" User 'Storage Blob Data Contributor'
  grant "$me" User 'Storage File Data Privileged Contributor' # notebooks: the share that keys would open otherwise
}

report() {
  local name values=()
  values=("SUBSCRIPTION_ID=$subscription" "AZURE_RM_SVC_PRINCIPAL_ID=${principals[$deployer]}"
    "WORKSPACE_SVC_PRINCIPAL_ID=${principals[$publisher]}")
  if [[ ! -s $scratch/made ]]; then
    say "nothing to do: everything is there"
  elif [[ $dry_run == yes ]]; then
    say "a dry run: nothing was made"
  fi
  [[ $devops == yes ]] || say "no service connections: run again with --organization and --project"
  if [[ $write == yes ]]; then
    write_settings "${values[@]}"
  else
    say "in variable_template.yml (--write writes it there):"
    for name in "${values[@]}"; do printf '  - name: %s\n    value: %s\n' "${name%%=*}" "${name#*=}"; done
  fi
}

write_settings() { # NAME=VALUE…
  if [[ $dry_run == yes ]]; then
    say "would run: cva settings set$(typed "$@")"
    return
  fi
  cva settings set "$@" >&2
  say "commit that: the pipelines read it, too"
}

deploy_infrastructure() {
  local command=("$ROOT/.pipelines/scripts/infrastructure.sh" deploy "$deploy")
  if [[ $dry_run == yes ]]; then
    say "would run:$(typed "${command[@]}")"
    return
  fi
  say "runs:     $(typed "${command[@]}")   (some minutes)"
  "${command[@]}"
}

main() {
  local name missing=() unregistered=()
  local -A applications=() principals=() connections=()
  read_arguments "$@"
  need_tools
  read_settings
  look_at_login
  principals=([$deployer]='' [$publisher]='') connections=([$deployer]='' [$publisher]='')
  look_at_azure
  look_at_entra
  look_at_devops
  if [[ ${#missing[@]} -gt 0 ]]; then
    printf 'missing: %s\n' "${missing[@]}" >&2
    fail 3 "this login lacks ${#missing[@]} of the rights that are needed; nothing was made" "ask for them, or hand this script to whoever has them"
  fi
  make_group
  for name in "$deployer" "$publisher"; do
    make_principal "$name"
    make_connection "$name"
  done
  make_rights
  report
  [[ -z $deploy ]] || deploy_infrastructure
}

main "$@"
