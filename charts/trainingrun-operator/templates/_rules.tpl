{{/* Generated from manifests/rbac/cluster-role.yaml by charts/sync.py: change it there. */}}
{{- define "trainingrun-operator.rules" }}
- apiGroups: [trainingrun.dev]
  resources: [trainingruns]
  verbs: [list, watch, delete]  # delete: ttlSecondsAfterFinished
- apiGroups: [trainingrun.dev]
  resources: [trainingruns/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]  # progress where the network forbids asking the agent
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create]  # <run>-resolved-<uid8>, by name
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, create, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]  # list: what keeps a pod from being created
{{- end }}
{{/* Generated from manifests/rbac/leases-role.yaml by charts/sync.py: change it there. */}}
{{- define "trainingrun-operator.leaseRules" }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch]
{{- end }}
