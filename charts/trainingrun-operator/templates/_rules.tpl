{{/* Generated from manifests/rbac/cluster-role.yaml by charts/sync.py: change it there. */}}
{{- define "trainingrun-operator.rules" }}
- apiGroups: [trainingrun.dev]
  resources: [trainingruns]
  verbs: [list, watch, delete]  # delete: for ttlSecondsAfterFinished
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
  verbs: [get]  # for progress when the network blocks the agent's port
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create]  # <run>-resolved-<uid8>
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, create, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]  # list: to find out why a pod is not created
{{- end }}
{{/* Generated from manifests/rbac/claims-role.yaml by charts/sync.py: change it there. */}}
{{- define "trainingrun-operator.claimRules" }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [trainingrun-operator]
  verbs: [list, patch]
{{- end }}
{{/* Generated from manifests/rbac/nodes-role.yaml by charts/sync.py: change it there. */}}
{{- define "trainingrun-operator.nodeRules" }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [list]
{{- end }}
{{/* Generated from manifests/rbac/leases-role.yaml by charts/sync.py: change it there. */}}
{{- define "trainingrun-operator.leaseRules" }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [trainingrun-operator, trainingrun-operator-cluster]
  verbs: [get, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]  # for a Lease that someone deleted; RBAC cannot limit it to a name
{{- end }}
