#!/usr/bin/env bash
# Shows what a deployment of infrastructure/ would change, or deploys it; a second deployment changes nothing.
#
#   .pipelines/scripts/infrastructure.sh what-if|deploy dev|prod
#
# Values come from variable_template.yml, then from infrastructure/main.parameters.ENV.json. Leaves what-if.txt or
# outputs.json in $OUT. Needs az, logged in; the resource group is bootstrap.sh's.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

own=infrastructure/main.parameters.${2:-}.json
if [[ ! ${1:-} =~ ^(what-if|deploy)$ || ! ${2:-} =~ ^(dev|prod)$ ]]; then
  usage >&2
  exit 2
fi
cva settings show --for bicep >"$OUT/settings.parameters.json"
group=$(setting RESOURCE_GROUP)
where=(--resource-group "$group")
subscription=$(setting SUBSCRIPTION_ID)
if [[ -n $subscription ]]; then where+=(--subscription "$subscription"); fi
what=(--name "cva-$2" --template-file infrastructure/main.bicep --parameters "@$OUT/settings.parameters.json" "@$own")

export AZURE_CORE_NO_COLOR=true
if [[ $1 == what-if ]]; then
  az deployment group what-if "${where[@]}" "${what[@]}" >"$OUT/what-if.txt"
  answers text "What the deployment to $2 would change" "$OUT/what-if.txt" >"$OUT/what-if.md"
  summary "$OUT/what-if.md"
else
  az deployment group create "${where[@]}" "${what[@]}" --query properties.outputs --output json >"$OUT/outputs.json"
  answers text "Outputs of the deployment to $2" "$OUT/outputs.json" >"$OUT/outputs.md"
  summary "$OUT/outputs.md"
fi
