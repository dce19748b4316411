#!/usr/bin/env bash
# Releases the champion to devices: signed plain files in MODEL_RELEASE_CONTAINER, the index registry.json last, so that
# no device ever sees half a release. Doing it twice changes nothing.
#
#   MODEL_NAME=Cap_Detection_Model CVA_SIGNING_KEY_FILE=keys/release.key [MODEL_VERSION=3] \
#     .pipelines/scripts/release_model.sh
#
# MODEL_VERSION is the version that was approved: another champion by now is an error. Leaves released.json in $OUT.
# Needs az, logged in with Storage Blob Data Contributor on that container.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need MODEL_NAME CVA_SIGNING_KEY_FILE

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
install -m 600 "$CVA_SIGNING_KEY_FILE" "$private/signing.key" # a pipeline's secure file arrives readable by others
export CVA_SIGNING_KEY_FILE=$private/signing.key

container=$(setting MODEL_RELEASE_CONTAINER)
account=$(setting EDGE_STORAGE_ACCOUNT)
if [[ -z $account ]]; then # Bicep named it; the captures' datastore knows
  cva_json "$OUT/datastores.json" datastore list
  datastore=$(setting EDGE_DATASTORE_NAME)
  account=$(answers account "$OUT/datastores.json" "$datastore")
fi
login=(--auth-mode login --account-name "$account" --only-show-errors)
index=(--container-name "$container" --name registry.json)
release=$OUT/release
rm -rf "$release"
mkdir -p "$release"

cva_json "$OUT/champion.json" model show "$MODEL_NAME@champion"
version=$(answers value "$OUT/champion.json" version)
if [[ ${MODEL_VERSION:-$version} != "$version" ]]; then
  echo "approved was $MODEL_NAME:$MODEL_VERSION, the champion is now $version: start the release again" >&2
  exit 1
fi

# What is released already. Its ETag makes the last write fail if another release was quicker.
if_same=()
exists=$(az storage blob exists "${login[@]}" "${index[@]}" --query exists --output tsv)
if [[ $exists == true ]]; then
  etag=$(az storage blob show "${login[@]}" "${index[@]}" --query properties.etag --output tsv)
  az storage blob download "${login[@]}" "${index[@]}" --file "$release/registry.json" --if-match "$etag" --output none
  if_same=(--overwrite true --if-match "$etag")
  released=$(answers listed "$release/registry.json" "$MODEL_NAME" "$version")
  if [[ $released == yes ]]; then
    az storage blob download-batch "${login[@]}" --source "$container" --destination "$release" \
      --pattern "$MODEL_NAME/$version/*" --output none
  fi
fi

cva_json "$OUT/released.json" model publish-static "$MODEL_NAME:$version" --to "$release"
status=$(answers value "$OUT/released.json" status)
if [[ $status == published || $status == signed ]]; then
  az storage blob upload-batch "${login[@]}" --destination "$container" --destination-path "$MODEL_NAME/$version" \
    --source "$release/$MODEL_NAME/$version" --overwrite true --output none
fi
if [[ $status != unchanged ]]; then
  az storage blob upload "${login[@]}" "${index[@]}" --file "$release/registry.json" --output none \
    --content-cache-control no-cache "${if_same[@]}"
fi
answers released "$OUT/released.json" "https://$account.blob.core.windows.net/$container" >"$OUT/released.md"
summary "$OUT/released.md"
