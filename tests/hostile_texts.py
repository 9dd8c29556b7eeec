"""Values, names and lines that nobody meant to write where a preset, `--set` or a name stands."""

_WORDS = r"""
null ~ true yes on off 0 -1 1 2 5 100 3.5 1e-3 -0.0 0.5 1e400 -1e400 1e308 -1e308 5e-324 .nan .inf -.inf NaN
1_000 1_0_0. _1 0o17 017 0x1F 0b11 1:30:00 2020-01-01 2020-01-01T00:00:00Z 9223372036854775807
18446744073709551616 -9223372036854775809 '' "" ' "\0" "\e[31mred" "\u202e" "a\nb" "\ud800" "[red]x[/]"
[red]x[/] | >
'../../etc/passwd' '`id`' -rf ~nobody-of-that-name/x './x' 'a\0b/c' "a\0b/c" all head body none zero random
stored
means gradient ridge svm siamese matching prototypes nearest joint interpolate meta-gradient sine glyphs
omniglot
folder fc100 conv4 mlp resnet12 torchvision pixels cosine linear drops adam momentum carried layer layer-step
parameter multi-step query one running cpu cuda:99999999999999999999
"""
_LINES = r"""
a: b
'$(rm -rf /)'
[]
{}
[[]]
[1, [2, [3]]]
{a: 1}
{a: {a: {a: 1}}}
{from: 2, to: 1}
{from: x}
{at: .nan}
{lambda: 1e-9}
{? [a] : b}
{steps: -1}
{steps: 5, steps: 6}
[1, 2]
[2, 1]
[.nan, .nan]
[-1e308, 1e308]
[0.5, 0.5]
[0, 0, 0]
[zero, zero]
['head.*']
['no*']
['[']
['[z-a]']
!!python/object/apply:os.system ['true']
!!python/name:os.system
!!binary aGk=
!!set {a}
!!omap [a: 1]
!!pairs [a: 1]
!!float x
!!int 0x10
!!int ''
!!bool maybe
!!null 3
!!str 5
!!timestamp 2020-01-01
!!timestamp x
!foo bar
!<tag:yaml.org,2002:str> 5
!!seq {a: 1}
!!map [a]
&a [*a]
&a {b: *a}
*nowhere
[&a 1, *a]
{<<: {steps: 5}}
{<<: [1]}
<<
[*a
@x
%x
"""
_ENDLESS = (
    "9" * 400,
    "9" * 5000,
    "1" + "0" * 308,
    "x" * 70_000,
    f"'{'ж' * 300}'",
    "/" + "x" * 5000,
    f"['{'*a' * 200}b']",
    "[" * 40 + "]" * 40,
    "{a: " * 40 + "}" * 40,
    "[" * 3000,
    "[" + "1, " * 3000 + "1]",
    "[" + "x, " * 30_000 + "x]",
    "{" + ", ".join(f"a{n}: 1" for n in range(3000)) + "}",
    f"[&a '{'y' * 50_000}'" + ", *a" * 5_000 + "]",
)
SCALARS = _WORDS.split()
VALUES = (*SCALARS, *SCALARS, *_LINES.strip().splitlines(), *_ENDLESS)
_PLAIN_NAMES = r"""
. .. / ~ ../../../etc/passwd /etc/passwd /dev/zero /dev/null ./nope.yaml ~nobody-of-that-name/x.yaml
/dev/zero/x.yaml
/proc/self/mem [red]maml[/red] MAML mam1 maml* * ? $(touch /tmp/x) `id` %s%n {0} maml;ls
omniglot-5way-1shot.yaml
maml.yaml none null x/../maml tasks/sine-10shot sine-10shot/ folder .yaml ｍａｍｌ
"""
NAMES = (
    *_PLAIN_NAMES.split(),
    *("", " ", "maml ", "a\nb", "a\rb", "\x1b[31mmaml", "\u202emaml", "\udcff", "😀" * 50),
    *("maml" * 2000, "x" * 5000 + ".yaml"),
)
_MARKS = r"""
' " { } [ ] , : # &a *a !! % @ ` \ ... |
"""
CHARACTERS = (
    *_MARKS.split(),
    *(
        "\t",
        "\0",
        "\x07",
        "\x1b[31m",
        "\ufeff",
        "\u2028",
        "\x85",
        ": ",
        "- ",
        "? ",
        " #",
        "|\n",
        ">-\n",
        "---\n",
    ),
)
BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
_FOREIGN = r"""
x: 1
<<: {a: 1}
on: 3
1: 2
null: 3
? a
- a
a
---
...
%YAML 1.2
%TAG ! x
&a
!!python/object:os.system {}
summary: [red]x[/red]
summary: 5
summary: |
summary: 'a
paper: "
task: 5
task:
for: {}
for:
set: {adaptation: 3}
set:
rows: [maml]
rows: []
rows:
outer:
budgets: {quick: 3}
budgets:
tasks: [nope]
seeds: []
seeds: 1.5
seeds: [1, 1]
seeds: 100000000000000000000
seeds: 99999999
baseline: [maml]
published: {maml: {value: .nan, source: x}}
tasks: [../../../../../../etc/passwd.yaml]
tasks: ["a\0b/c.yaml"]
rows: ["a\0b/c.yaml"]
rows: ['~nobody-of-that-name/a.yaml']
rows: [{algorithm: maml, label: "\e[31m"}]
baseline: '~nobody-of-that-name/a.yaml'
task: {dataset: folder, folder: "a\0b"}
task: {dataset: folder, folder: '~nobody-of-that-name/x'}
"""
FOREIGN_LINES = (
    *_FOREIGN.strip().splitlines(),
    *(BOMB, "z" * 200_000, "{" * 1000, "[" * 100_000, "? " * 5000, "- " * 5000, "a: " * 2000, "#" * 100_000),
    *("'" + "''" * 50_000, "\\" * 999, f"tasks: [{'x' * 5000}.yaml]"),
    "task: {dataset: folder, folder: " + "x" * 5000 + "}",
)
