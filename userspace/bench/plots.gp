# SPDX-License-Identifier: GPL-2.0-only
#
# Plots of what bench measured; scripts/machine/bench-plots calls it.
#   data    its TSV                     title   of the plot, without the unit
#   column  what is plotted             unit    of that column
#   shapes  one panel each              transports  one line each
#   kind    svg or png                  output  the file
set datafile separator "\t"
set datafile missing NaN
columns = words(shapes) < 3 ? words(shapes) : 3
rows = (words(shapes) + columns - 1) / columns
if (kind eq "svg") {
	set terminal svg size 420 * columns, 340 * rows + 40 background "white" dynamic
} else {
	set terminal pngcairo size 420 * columns, 340 * rows + 40 background "white"
}
set output output
stats data using (column("size")) nooutput
set xrange [STATS_min / 2:STATS_max * 2]
set logscale xy
set xlabel "bytes of a message"
set ylabel unit
set grid xtics ytics linecolor "#dddddd"
set xtics (8, 64, 256, 1024, 4096, 16384, 65536)
set format y "%.0s%c"
set key bottom center outside horizontal maxrows 3 samplen 2 font ",9"
set bmargin 6
set multiplot layout rows, columns title title
# Ours are thick; the colours are those of Okabe and Ito, which the colour-blind can tell.
all = "mpmcq packed lease pipe mqueue sysv seqpacket dgram shm-ring"
colours = "#d55e00 #e69f00 #cc79a7 #0072b2 #009e73 #56b4e9 #7f7f7f #b8a900 #000000"
style(t) = sum [k = 1:words(all)] (word(all, k) eq t ? k : 0)
width(t) = style(t) <= 3 ? 2.5 : 1
count(n, what) = n." ".what.(n eq "1" ? "" : "s")
column_name = column
of(t, s) = strcol("transport") eq t && strcol("shape") eq s ? column(column_name) : NaN
do for [s in shapes] {
	if (s eq "trip") {
		set title "round trip"
	} else {
		x = strstrt(s, "x")
		set title count(s[:x - 1], "producer").", ".count(s[x + 1:], "consumer")
	}
	plot for [t in transports] data using (column("size")):(of(t, s)) with linespoints \
		linecolor rgb word(colours, style(t)) pointtype style(t) linewidth width(t) \
		pointsize 0.6 title t
}
unset multiplot
