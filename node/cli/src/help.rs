//! The longer texts of `--help`: exit codes and examples.

pub(crate) const TOP: &str = "\
Examples:
  netdbctl status
  netdbctl table dump --network blue --wide
  netdbctl table watch --network blue --jsonl | jq -r .type
  netdbctl --socket /run/other.sock members

Exit codes:
  0  done
  1  failed for another reason than those below
  2  the command line is wrong
  3  there is no such row, network or member
  4  netnode does not answer, or is just starting or stopping
  5  it exists already, or something of the kind is under way
`diff` has its own: 0 equal, 1 different, 2 could not compare.";

pub(crate) const STATUS: &str = "\
Examples:
  netdbctl status
  netdbctl status --json | jq -r '.networks[] | [.name, .hash] | @tsv'";

pub(crate) const MEMBERS: &str = "\
Examples:
  netdbctl members
  netdbctl members --json | jq -r '.[] | select(.state == \"failed\") | .name'";

pub(crate) const STATS: &str = "\
Examples:
  netdbctl stats
  netdbctl stats --json | jq .counters";

pub(crate) const METRICS: &str = "\
`netnode metrics` says what each of them means. `curl --unix-socket /run/netnode.sock
http://netnode/v1/metrics` prints the same.

Examples:
  netdbctl metrics
  netdbctl metrics | grep _dropped_
  netdbctl metrics --json | jq -r '.[].samples[] | select(.value > 0) | .name'";

pub(crate) const DIFF: &str = "\
Both members are asked, by this node, what they received and hold: networks by their hashes, then the
writers in which they differ, then the rows, each with the write that stands for it on either side:
  NODE#7          write 7 of NODE
  deleted NODE#8  write 8 deleted the row
  gone            the other's write was received, and is deleted or overwritten
  not received    the other's write has not arrived
Whatever was written within the last second is on its way, and no difference.

Exit codes: 0 equal, 1 different, 2 could not compare.

Examples:
  netdbctl diff host-1 host-2
  netdbctl diff host-1 3f9c --network blue --wide
  netdbctl diff host-1 host-2 --json | jq -r '.networks[].rows[].key.data'";

pub(crate) const DEBUG: &str = "\
Queues, packets dropped by reason, networks and how far their writers got, writes that are kept aside
because their stamp is too far ahead, whom this node sends its own writes to, links and timers.

Examples:
  netdbctl debug
  netdbctl debug --network blue
  netdbctl debug --json | jq '.links[] | select(.late > 0)'";

pub(crate) const TOP_VIEW: &str = "\
Ends with q or Ctrl-C. Where the output is no terminal, frames follow one another as plain text.

Examples:
  netdbctl top
  netdbctl top --interval 10
  netdbctl top --once --json | jq .rates";

pub(crate) const CONFIG: &str = "\
The settings that the running node uses: LIVE ones change at `netdbctl reload`, the others at a restart.
`netnode config check` looks at a file before it is used.

Examples:
  netdbctl config show
  netdbctl config show --said
  netdbctl config show --json | jq '.[] | select(.origin.by != \"default\")'";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  netdbctl completions bash > /etc/bash_completion.d/netdbctl
  netdbctl completions zsh > /usr/local/share/zsh/site-functions/_netdbctl
  netdbctl completions fish > ~/.config/fish/completions/netdbctl.fish";

pub(crate) const MAN: &str = "\
Examples:
  netdbctl man /usr/local/share/man/man1";

pub(crate) const NETWORK: &str = "\
Examples:
  netdbctl network create web
  netdbctl network ls
  netdbctl network inspect web
  netdbctl network rm web";

pub(crate) const NETWORK_CREATE: &str = "\
Options are those of `docker network create`. A network of the bridge driver is this host's alone;
of the host and none drivers nothing is made, and no endpoint is attached to one.

Examples:
  netdbctl network create web
  netdbctl network create -d bridge box
  netdbctl network create --ipv6 --opt encrypted --label team=shop web
  netdbctl network create --subnet 10.9.0.0/16 --gateway 10.9.0.1 --internal db
  netdbctl network create -d macvlan --subnet 192.168.0.0/16 --ip-range 192.168.41.0/24 \\
    --aux-address favorite_ip_ever=192.168.41.2 --gateway 192.168.41.1 -o parent=eth0.41 macnet41";

pub(crate) const ENDPOINT: &str = "\
Examples:
  ip netns add box
  netdbctl endpoint attach --network web --name api-1 --netns /run/netns/box
  netdbctl endpoint attach --network web --name api-2 --ip 10.0.0.9 --pid 4711
  netdbctl endpoint attach --network web --name api-4 --pid 4712 --resolv-conf /run/api-4/resolv.conf
  netdbctl endpoint attach --network box --name www -p 8080:80 -p [::1]:53:53/udp --netns /run/netns/www
  netdbctl endpoint attach --network web --name api-3 --service api --weight 2 --pid 4711
  netdbctl endpoint attach --network web --name api-1 --move --netns /run/netns/elsewhere
  netdbctl endpoint attach --network web --name probe --netns host
  netdbctl endpoint ls
  netdbctl endpoint detach --network web --name api-1";

pub(crate) const ENDPOINT_SERVING: &str = "\
What is said of an endpoint is told to all nodes at once, and survives a restart of netnode. `drain` gives
it nothing new, and takes it out when the grace is over; `drain --now` takes it out at once, `drain --undo` brings
it back; one that is unhealthy is given nothing new until it is healthy.

Examples:
  netdbctl endpoint drain web-1
  netdbctl endpoint drain --grace 60 web-1
  netdbctl endpoint drain --now web-1
  netdbctl endpoint drain --undo web-1
  netdbctl endpoint health web-1 unhealthy";

pub(crate) const SERVICE: &str = "\
A service is the set of endpoints that name it, whoever starts them: they may be there before it. READY
counts those that take something new, of all.

Examples:
  netdbctl service create --network shop web
  netdbctl endpoint attach --network shop --name web-1 --service web --netns /run/netns/web-1
  netdbctl service ls
  netdbctl service inspect web
  netdbctl service rm web";

pub(crate) const SERVICE_CREATE: &str = "\
A published port is said as to Docker: [BIND:]PUBLISHED:TARGET[/PROTOCOL] leads from each host to all
backends; mode=host,published=PORT,target=PORT[,protocol=PROTOCOL][,bind=ADDRESS] from those hosts that a
backend is on to that one. A name and a port of each host are one service's; of two that were created on
two sides of a cut, the older has it, and the other shows the conflict.

Examples:
  netdbctl service create --network shop web
  netdbctl service create --network shop --vip 10.0.0.80 -p 8080:80 -p 192.0.2.1:53:53/udp web
  netdbctl service create --network shop --endpoint-mode dnsrr -p mode=host,published=9100,target=9100 db";

pub(crate) const SERVICE_UPDATE: &str = "\
With --endpoint-mode dnsrr it gives its virtual address back; with vip it takes one.

Examples:
  netdbctl service update web --publish-add 8443:443 --publish-rm 80
  netdbctl service update web --label-add tier=front --label-rm old
  netdbctl service update web --endpoint-mode dnsrr";

pub(crate) const IPAM: &str = "\
Examples:
  netdbctl ipam usage
  netdbctl ipam usage web --nodes
  netdbctl ipam reclaim host-3";

pub(crate) const IPAM_RECLAIM: &str = "\
What a node holds waits for it when it is down. If its host is down for good, this gives it to the nodes
that are there: to each range an heir, who takes it once all other nodes have been there for a while (the
setting takeover_after, 30 s by default). The command waits for that, and the cluster goes on without it.

It assumes that the host is down and stays so. If it still ran, cut off, it would go on giving what others
give as well. If it comes back later it sees that it holds nothing, and asks for a share as any node.

Nodes that are not there may hold what the lost one gave them: they must be back, or be named as well.
Without a terminal to ask on, --yes is needed. A host that is installed anew takes over its own by
`netnode join --replace`, and a node that leaves hands everything over by itself.

Examples:
  netdbctl ipam reclaim host-3
  netdbctl ipam reclaim --yes host-3 host-4
  netdbctl ipam reclaim --yes --json host-3 | jq -r '.ranges[] | [.network, .space, .numbers] | @tsv'";

pub(crate) const IPAM_USAGE: &str = "\
Every node is asked for its part: what it uses of a subnet or pool, what it holds, and what of that it could
give now. Numbers that rest or are on their way between nodes are in neither. Without a network, all
networks and the pools that subnets and VNIs come from.

Examples:
  netdbctl ipam usage
  netdbctl ipam usage web --nodes
  netdbctl ipam usage --json | jq -r '.spaces[] | select(.percent >= 75) | .network'";

pub(crate) const SCOPE: &str = "\
A node holds and gossips the tables of the networks that it is attached to, and no others.

Examples:
  netdbctl scope
  netdbctl scope attach blue --wait
  netdbctl scope peers blue
  netdbctl scope detach blue";

pub(crate) const TABLE: &str = "\
A table has a name and a lifetime; the two lifetimes of one name are different tables:
  owner    a row belongs to the node that wrote it and leaves the view with it
  cluster  any attached node may write any row; rows live until they are deleted

Examples:
  netdbctl table ls
  netdbctl table dump
  netdbctl table create blue names web 10.0.0.1
  netdbctl table get blue names web";

pub(crate) const TABLE_LS: &str = "\
Examples:
  netdbctl table ls
  netdbctl table ls blue --json";

pub(crate) const DUMP: &str = "\
On a terminal the columns are aligned and cut to fit (with …); elsewhere they are separated by tabs
and never cut. Keys and values are shown as text where they are text, else in hexadecimal after 0x;
rows of the node's own tables are shown field by field.

Examples:
  netdbctl table dump
  netdbctl table dump --network blue --table names --prefix web
  netdbctl table dump --owner host-3 --failed
  netdbctl table dump --network _cluster --raw
  netdbctl table dump --jsonl | jq -r 'select(.lifetime == \"owner\") | .key.data'";

pub(crate) const WATCH: &str = "\
Starts with the rows that are there (+), then says so (=), then tells every change as this node sees
it: + created, ~ updated, - deleted with the reason.

Examples:
  netdbctl table watch --network blue --table names
  netdbctl table watch --network blue --jsonl
  netdbctl table watch --network blue --count 1 --changes   (waits for the next change)";

pub(crate) const GET: &str = "\
Examples:
  netdbctl table get blue names web
  netdbctl table get blue names web --value    (the value's bytes and nothing else)";

pub(crate) const WRITE: &str = "\
Examples:
  netdbctl table create blue names web 10.0.0.1
  netdbctl table upsert blue files motd - < /etc/motd
  netdbctl table update blue flags x 00ff --hex --lifetime owner";

pub(crate) const DELETE: &str = "\
Examples:
  netdbctl table delete blue names web
  netdbctl table delete blue endpoints eth0 --lifetime owner";

pub(crate) const LOAD: &str = "\
Each line is a key, a tab and a value, taken as they are. Blank lines are passed over.

Examples:
  netdbctl table load blue services --lifetime owner --file services.tsv
  awk '{print $2 \"\\t\" $1}' /etc/services | netdbctl table load blue services -";

pub(crate) const KEYS: &str = "\
Examples:
  netdbctl keys list
  netdbctl keys rotate --wait";

pub(crate) const TOKEN: &str = "\
The token is a secret: whoever has it can join the cluster.

Examples:
  netdbctl token show
  netdbctl token rotate --expires 24h";

pub(crate) const JOIN: &str = "\
A node joins before it runs, so joining is done by netnode itself, on the new host:
  netnode join TOKEN ADDRESS...
  systemctl start netnode

This command prints the line to run there, with this cluster's token and this node's address.
The token is a secret.

Examples:
  netdbctl join
  netdbctl join | ssh root@new-host sh";

pub(crate) const LEAVE: &str = "\
The addresses, subnets and VNIs that it holds go to nodes that are there, its rows are withdrawn, its
admission ends and netnode stops. It can only come back by joining again. What nobody takes within 15 s
stays behind, with a warning: `netdbctl ipam reclaim` on another node gives it to those that are there.
To stop it for a while, stop the process: the others then hold its rows until it is back.

Examples:
  netdbctl leave
  netdbctl leave --yes";

pub(crate) const RELOAD: &str = "\
Reads the configuration again, as SIGHUP does, and says what is in force now and what needs a restart.

Examples:
  netdbctl reload";

pub(crate) const COMPLETE: &str = "\
After a restart the others hold a node's former rows for a while. A program that has written all rows
that it still stands for says so with this command, and what it did not write again goes at once.

Examples:
  netdbctl complete blue";

pub(crate) const LB_SHOW: &str = "\
What a container sends to the virtual address of a service goes to one of its backends, by chance and by weight.
Backends that drain, are disabled or unhealthy, or whose node failed get nothing new; those of a suspected node only
if nobody else is left. `--prefer-local` of a service puts those of the client's host first.

Examples:
  netdbctl lb show web
  netdbctl lb show --as client-1
  netdbctl lb show web --json | jq '.[].backends[].share_percent'";

pub(crate) const DNS_QUERY: &str = "\
Names are answered inside each container, at 127.0.0.11 unless netnode was told otherwise: an endpoint's name
and aliases, SERVICE (its virtual address, or its backends in any order), tasks.SERVICE, TASK.SERVICE; each of
them also with .NETWORK and the domain behind it. What is not known so is asked of the host's resolvers.

Examples:
  netdbctl dns query --as client-1 web
  netdbctl dns query --as client-1 tasks.web --trace
  netdbctl dns query --as client-1 --type PTR 10.0.0.2
  netdbctl dns query --as client-1 web --json | jq -r '.records[]'";
