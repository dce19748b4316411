"""Variables that Azure Pipelines defines itself, and which of them exist already when templates are expanded."""

from __future__ import annotations

_AGENT = """
    BuildDirectory ContainerMapping HomeDirectory Id JobName JobStatus MachineName Name OS OSArchitecture RootDirectory
    TempDirectory ToolsDirectory WorkFolder
"""
_BUILD = """
    ArtifactStagingDirectory BinariesDirectory BuildId BuildNumber BuildUri ContainerId CronSchedule.DisplayName
    DefinitionName DefinitionVersion QueuedBy QueuedById Reason Repository.Clean Repository.Git.SubmoduleCheckout
    Repository.ID Repository.LocalPath Repository.Name Repository.Provider Repository.Uri RequestedFor
    RequestedForEmail RequestedForId SourceBranch SourceBranchName SourcesDirectory SourceVersion SourceVersionMessage
    StagingDirectory TriggeredBy.BuildId TriggeredBy.BuildNumber TriggeredBy.DefinitionId TriggeredBy.DefinitionName
    TriggeredBy.ProjectID
"""
_SYSTEM = """
    AccessToken CollectionId CollectionUri Debug DefaultWorkingDirectory DefinitionId HostType JobAttempt
    JobDisplayName JobId JobName OidcRequestUri PhaseAttempt PhaseDisplayName PhaseName PlanId
    PullRequest.IsFork PullRequest.PullRequestId PullRequest.PullRequestNumber PullRequest.SourceBranch
    PullRequest.SourceCommitId PullRequest.SourceRepositoryURI PullRequest.TargetBranch
    PullRequest.TargetBranchName PullRequest.targetBranchName StageAttempt StageDisplayName StageName
    TaskInstanceId TeamFoundationCollectionUri TeamProject TeamProjectId TimelineId WorkFolder
"""
_OTHERS = """
    Checks.StageAttempt Common.TestResultsDirectory Environment.Id Environment.Name Environment.ResourceId
    Environment.ResourceName Pipeline.Workspace Strategy.CycleName Strategy.Name TF_BUILD
"""
_COMPILE_TIME = """
    Build.DefinitionName Build.DefinitionVersion Build.QueuedBy Build.Reason Build.Repository.ID Build.Repository.Name
    Build.Repository.Provider Build.Repository.Uri Build.RequestedFor Build.SourceBranch Build.SourceBranchName
    Build.SourceVersion System.CollectionId System.CollectionUri System.DefinitionId System.TeamProject
    System.TeamProjectId
"""


def _lower(words: str, prefix: str = "") -> set[str]:
    return {f"{prefix}{word}".lower() for word in words.split()}


RUN_TIME = frozenset(
    _lower(_AGENT, "agent.") | _lower(_BUILD, "build.") | _lower(_SYSTEM, "system.") | _lower(_OTHERS)
)  # in lower case: Azure Pipelines does not distinguish
COMPILE_TIME = frozenset(_lower(_COMPILE_TIME))

# https://learn.microsoft.com/azure/devops/pipelines/agents/hosted
IMAGES = frozenset(
    f"{system}-{version}"
    for system, versions in {
        "ubuntu": ("latest", "24.04", "22.04"),
        "windows": ("latest", "2025", "2022"),
        "macOS": ("latest", "15", "14"),
    }.items()
    for version in versions
)
