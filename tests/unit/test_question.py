"""What people type, and how it is taken: a diagnosis unless the words clearly ask for a table, an act or nothing of ours."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kubectl_ai_intellect.question import understand

DIAGNOSES = """
why is my pod crashing
why is checkout in CreateContainerConfigError
cart is broken
my rollout of the gateway hangs, why
nothing answers behind the search service since yesterday
half of the requests to the storefront service fail
is anything wrong in this namespace
portal gets killed again and again, CrashLoopBackOff
restart loop in web
restarts of web keep growing
delete namespace foo takes forever
delete pod web-0 hangs
deleting the claim never finishes
deploy web is down
deploy of web fails with ImagePullBackOff
apply says field is immutable
scale up of web does nothing
scale to 5 has no effect
rollback of web did not help
update to 2.0 made web slow
label selector mismatch on the service
create pod is forbidden for the operator
creating a deployment is denied by the webhook
install of the chart fails
drain node-1 never ends
taint on worker-1 keeps my pod pending
which image fails to pull
who can help me with this crash
who can tell me what is wrong with cart
can i get help with my failing pod
how many pods are crashing and why
which pods are failing and why
what is wrong with my deployment
what happened to cart
what is killing the indexer pods
why did the number of replicas drop
the number of replicas is wrong
hpa shows the wrong number of replicas
users see errors from pods in all regions
list pods gives forbidden in my operator
cart is broken since yesterday, what changed
why has web changed its behaviour since the deploy
why can nobody delete pods here
why does web use so much memory
which requests fail and why
what requests reach web without an answer, it is stuck
tell me why payments is slow
find the root cause of the outage in payments
diagnose deployment/cart
debug pod web-7d9f8-abcde
fix my pod
help
help me with cart
do i have broken pods
is my cluster healthy
is everything ok
are there any problems in payments
is cart up
is web running
are my pods healthy
what's wrong
whats going on in kube-system
checkout behaves weirdly since the release
checkout returns a blank page
the storefront is unresponsive
storefront acts strange today
the api resets connections
dns is not resolving
ImagePullBackOff
OOMKilled
CrashLoopBackOff in payments
0/3 nodes are available
web
pod/web-0
deployment/cart in namespace shop
payments
exit code 137
x509: certificate signed by unknown authority
connection refused to db:5432
node worker-2 NotReady
pvc data-db-0 is pending
job import failed last night
cronjob report never runs
ingress returns 503
service has no endpoints
pods stuck in Terminating
namespace stuck in terminating
hpa is not scaling
quota exceeded?
explain the crash of cart
could you look at why cart restarts
any idea why my pods are evicted
what blocks the rollout
what prevents the drain of node-1
whats up with my pod
wy is my pod crshing
since the deploy nothing works
"""
INFORMATION = """
what changed since yesterday | changes
what changed | changes
what has changed in the last 2 hours | changes
what changed before the crash of cart | changes
who changed the deployment cart | changes
show me recent changes | changes
did anything change today | changes
what was deployed today | changes
what did we deploy yesterday | changes
list all pods and identify those with errors in each namespace | errors-by-namespace
show pods with errors in all namespaces | errors-by-namespace
how many pods are not ready | count-not-ready
how many pods are crashing | count-not-ready
how many nodes are not ready | count-not-ready
how many deployments are failing | count-not-ready
how many pods are pending in payments | count-not-ready
how many pods are there | count
how many pods does cart have | count
how many nodes do we have | count
how many namespaces are there | count
how many pods are running | count
what is the number of deployments | count
number of pods in payments | count
which pods are not ready | not-ready
which nodes are not ready | not-ready
list failing pods | not-ready
show me all pending pods | not-ready
list pods that are not running | not-ready
which deployments are unhealthy | not-ready
list failed jobs | not-ready
which pods restarted today | restarts
which pods have the most restarts | restarts
show pods by restarts | restarts
how often did cart restart | restarts
how many times did web restart | restarts
which image does cart run | images
what image is deployment/web using | images
what version of cart is running | images
what tag does web run | images
show all images | images
list the container images in payments | images
who can delete pods here | who-can
who can delete pods | who-can
who can read secrets in payments | who-can
who may create deployments | who-can
who is allowed to exec into pods | who-can
who has access to secrets | who-can
who can do everything | who-can
can i delete pods | who-can
which pods use the most memory | usage
which pod is using most cpu | usage
how much memory does cart use | usage
top pods | usage
show cpu usage of nodes | usage
what is using all the memory | usage
which pods have no limits | resources
what are the memory limits of cart | resources
show cpu requests of deployment web | resources
which containers have no memory limits | resources
how much cpu does web request | resources
which pods run on node worker-1 | on-node
where is cart running | on-node
where does cart run | on-node
which node runs cart | on-node
show events | events
list the latest warning events in payments | events
show me recent events | events
what does cart depend on | depends
what uses configmap app-settings | depends
which pods mount the claim data | depends
what secrets does deployment/web use | depends
is cart ready | ready
are all pods ready? | ready
what kubernetes version is this | version
which version of kubernetes do we run | version
what is the cluster version | version
list pods | list
list all deployments | list
show me the services in payments | list
get nodes | list
which namespaces exist | list
list namespaces | list
please list my cronjobs | list
what pods are running | list
can you list the pods in kube-system | list
list secrets | list
show configmaps | list
"""
ACTIONS = """
delete the pod web-0
please delete all pods
delete all failed pods
scale cart to 5
scale deployment/web up to 10
restart cart
can you restart the web deployment
restart the crashing pod
roll back cart
rollback deployment/web
drain node-1
cordon worker-2
create a deployment
install nginx
apply my manifest
set the image of web to nginx:1.27
change the replicas of cart to 3
label the node worker-1
patch deployment web
"""
DECLINED = """
hi
hello there
thanks
what is the weather today
tell me a joke
write a poem about spring
what is the capital of france
who won the football match
sdfkjh qwrtzp xcvbnm
translate this sentence to german
recipe for apple pie please
write me a python essay
"""


def lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


@pytest.mark.parametrize("text", lines(DIAGNOSES))
def test_trouble_is_diagnosed(text: str) -> None:
    asked = understand(text)
    assert (asked.intent, asked.what) == ("diagnosis", "")


@pytest.mark.parametrize("line", lines(INFORMATION))
def test_tables_are_asked_for(line: str) -> None:
    text, what = line.split(" | ")
    asked = understand(text)
    assert (asked.intent, asked.what) == ("information", what)


@pytest.mark.parametrize("text", lines(ACTIONS))
def test_orders_are_not_carried_out(text: str) -> None:
    asked = understand(text)
    assert asked.intent == "action"
    assert "nothing is ever changed" in asked.reason


@pytest.mark.parametrize("text", lines(DECLINED))
def test_what_is_not_ours_is_declined(text: str) -> None:
    asked = understand(text)
    assert asked.intent == "decline"
    assert asked.reason
    assert "\n" not in asked.reason


def test_there_are_enough_phrasings() -> None:
    assert sum(len(lines(text)) for text in (DIAGNOSES, INFORMATION, ACTIONS, DECLINED)) >= 150


def test_time_kind_namespace_and_names_are_read() -> None:
    assert understand("what changed since yesterday").since == timedelta(days=1)
    assert understand("what changed in the last 2 hours").since == timedelta(hours=2)
    assert understand("list namespaces").kind == "Namespace"
    asked = understand("which image does deployment/cart run in namespace shop")
    assert (asked.kind, asked.names[0], asked.namespace) == ("Deployment", "cart", "shop")
    assert understand("list all pods and identify those with errors in each namespace").everywhere


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("which pod is using most cpu", ()),
        ("show me recent events", ()),
        ("which namespaces exist", ()),
        ("who is allowed to exec into pods", ()),
        ("show cpu requests of deployment web", ("web",)),
        ("what tag does cart run", ("cart",)),
    ],
)
def test_the_words_of_a_table_are_no_names(text: str, names: tuple[str, ...]) -> None:
    assert understand(text).names == names


def test_a_diagnosis_may_be_about_a_pod_called_top() -> None:
    assert "top" in understand("why is top crashing").names
