"""Command lines of etcd, API server, controller manager, scheduler and kwok.

Invariant: outside tier node everything listens on 127.0.0.1 only and needs no privileges.
"""

from __future__ import annotations

from .component import Component, Stage, flags
from .layout import NODE_IP, SERVICE_CIDR, Layout, Tier


def _etcd(layout: Layout) -> list[str]:
    client = f"http://127.0.0.1:{layout.ports.etcd}"
    peer = f"http://127.0.0.1:{layout.ports.etcd_peer}"
    return [
        layout.binary("etcd"),
        *flags(
            name="default",
            data_dir=str(layout.state / "etcd" / "data"),
            unsafe_no_fsync=True,  # the data is deleted with the cluster
            listen_client_urls=client,
            advertise_client_urls=client,
            listen_peer_urls=peer,
            initial_advertise_peer_urls=peer,
            initial_cluster=f"default={peer}",
            auto_compaction_retention="0",
            log_level="warn",
        ),
    ]


def _apiserver(layout: Layout) -> list[str]:
    pki = layout.pki
    argv = [
        layout.binary("kube-apiserver"),
        *flags(
            etcd_servers=f"http://127.0.0.1:{layout.ports.etcd}",
            secure_port=layout.ports.apiserver,
            service_cluster_ip_range=SERVICE_CIDR,
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            # Tests add containers to pods, as service meshes do.
            feature_gates="MutatingAdmissionPolicy=true",
            runtime_config="admissionregistration.k8s.io/v1beta1=true",
            allow_privileged=True,
            event_ttl="1h",
            tls_cert_file=str(pki / "apiserver.crt"),
            tls_private_key_file=str(pki / "apiserver.key"),
            client_ca_file=str(pki / "ca.crt"),
            service_account_issuer="https://kubernetes.default.svc.cluster.local",
            service_account_key_file=str(pki / "sa.pub"),
            service_account_signing_key_file=str(pki / "sa.key"),
            requestheader_client_ca_file=str(pki / "front-proxy-ca.crt"),
            requestheader_allowed_names="front-proxy-client",
            requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            proxy_client_cert_file=str(pki / "front-proxy-client.crt"),
            proxy_client_key_file=str(pki / "front-proxy-client.key"),
        ),
    ]
    return argv + _apiserver_place(layout) + _apiserver_audit(layout)


def _apiserver_place(layout: Layout) -> list[str]:
    if layout.tier is Tier.NODE:
        return flags(
            advertise_address=NODE_IP,
            bind_address="0.0.0.0",  # noqa: S104 - in the node's own network namespace
            kubelet_client_certificate=str(layout.pki / "apiserver-kubelet-client.crt"),
            kubelet_client_key=str(layout.pki / "apiserver-kubelet-client.key"),
            kubelet_preferred_address_types="InternalIP",
        )
    return flags(
        advertise_address="127.0.0.1",
        bind_address="127.0.0.1",
        endpoint_reconciler_type="none",  # a loopback address is not valid in an endpoint
        max_requests_inflight=800,
        max_mutating_requests_inflight=400,
    )


def _apiserver_audit(layout: Layout) -> list[str]:
    if not layout.audit:
        return []
    return flags(audit_policy_file=str(layout.conf / "audit-policy.yaml"), audit_log_path=str(layout.audit_log))


def _credentials(layout: Layout, user: str) -> list[str]:
    path = layout.kubeconfig_of(user)
    return flags(kubeconfig=path, authentication_kubeconfig=path, authorization_kubeconfig=path)


def _controller_manager(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        layout.binary("kube-controller-manager"),
        *_credentials(layout, "controller-manager"),
        *flags(
            use_service_account_credentials=True,
            root_ca_file=str(pki / "ca.crt"),
            service_account_private_key_file=str(pki / "sa.key"),
            cluster_signing_cert_file=str(pki / "ca.crt"),
            cluster_signing_key_file=str(pki / "ca.key"),
            requestheader_client_ca_file=str(pki / "front-proxy-ca.crt"),
            # Its default is a folder in /usr/libexec, which it would create.
            flex_volume_plugin_dir=str(layout.kubelet / "volume-plugins"),
            leader_elect=False,
            kube_api_qps=500,
            kube_api_burst=1000,
            concurrent_job_syncs=20,
            concurrent_gc_syncs=20,
            bind_address="127.0.0.1",
            secure_port=layout.ports.controller_manager,
        ),
    ]


def _scheduler(layout: Layout) -> list[str]:
    return [
        layout.binary("kube-scheduler"),
        *_credentials(layout, "scheduler"),
        *flags(
            leader_elect=False,
            kube_api_qps=500,
            kube_api_burst=1000,
            bind_address="127.0.0.1",
            secure_port=layout.ports.scheduler,
        ),
    ]


def _kwok(layout: Layout) -> list[str]:
    return [
        layout.binary("kwok"),
        *flags(
            kubeconfig=layout.kubeconfig_of("kwok"),
            manage_all_nodes=True,
            node_lease_duration_seconds=40,
            config=str(layout.conf / "kwok-stages.yaml"),
            server_address=f"127.0.0.1:{layout.ports.kwok}",
        ),
    ]


ETCD = Component("etcd", Stage.STORE, _etcd)
APISERVER = Component("kube-apiserver", Stage.API, _apiserver)
CONTROLLER_MANAGER = Component("kube-controller-manager", Stage.REST, _controller_manager)
SCHEDULER = Component("kube-scheduler", Stage.REST, _scheduler)
KWOK = Component("kwok", Stage.REST, _kwok)
