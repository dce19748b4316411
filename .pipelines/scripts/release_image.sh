#!/usr/bin/env bash
# Builds the scoring image with a released model in it, in the registry of infrastructure/ (which builds it itself), and
# restarts the web app, if there is one, which then serves that model. Doing it twice changes nothing.
#
#   MODEL_NAME=Cap_Detection_Model MODEL_VERSION=3 [SCORING_BASE=IMAGE] .pipelines/scripts/release_image.sh cva-dev|cva-prod|main
#
# The model is what release_model.sh left in $OUT/release; registry and web app are outputs of that deployment (main: by
# hand). SCORING_BASE is another base than scoring/Dockerfile's. Leaves outputs.json and image.md in $OUT.
# Needs az, logged in with Contributor on the resource group.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
if [[ ! ${1:-} =~ ^(cva-dev|cva-prod|main)$ ]]; then
  usage >&2
  exit 2
fi
need MODEL_NAME MODEL_VERSION

bundle=$OUT/release/$MODEL_NAME/$MODEL_VERSION
if [[ ! -f $bundle/manifest.json ]]; then
  echo "$bundle holds no model: run release_model.sh first" >&2
  exit 1
fi
group=$(setting RESOURCE_GROUP)
where=(--resource-group "$group")
subscription=$(setting SUBSCRIPTION_ID)
if [[ -n $subscription ]]; then where+=(--subscription "$subscription"); fi
az deployment group show "${where[@]}" --name "$1" --query properties.outputs --output json >"$OUT/outputs.json"
registry=$(answers output "$OUT/outputs.json" registryName)
host=$(answers output "$OUT/outputs.json" registryLoginServer)
app=$(answers output "$OUT/outputs.json" webAppName)

commit=$(git rev-parse HEAD)
build=(az acr build "${where[@]}" --registry "$registry" --only-show-errors --output none)
arguments=(--build-arg "REVISION=$commit")
if [[ -n ${SCORING_BASE:-} ]]; then arguments+=(--build-arg "BASE=$SCORING_BASE"); fi
scoring=cva-scoring-base:$commit
"${build[@]}" --image "$scoring" --file scoring/Dockerfile "${arguments[@]}" . 2>&1 | harmless >&2
image=cva-scoring:$MODEL_NAME-$MODEL_VERSION
"${build[@]}" --image "$image" --image cva-scoring:latest --file scoring/bundle.Dockerfile \
  --build-arg "SCORING=$host/$scoring" "$bundle" 2>&1 | harmless >&2

address=
if [[ -n $app ]]; then # it pulls cva-scoring:latest when it starts
  address=$(az webapp show "${where[@]}" --name "$app" --query defaultHostName --output tsv)
  az webapp restart "${where[@]}" --name "$app"
fi
answers image "$OUT/outputs.json" "$host/$image" "$address" >"$OUT/image.md"
summary "$OUT/image.md"
